"""What pyproject.toml cannot say: the wheel holds the top level of the repository, in a folder of
the package. `sopslab.layout` finds it there."""

import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py


class BuildAfresh(build_py):
    """Packs what the sources have. What an earlier build in this folder has left would be packed,
    too, although the sources no longer have it."""

    def run(self) -> None:
        if not self.editable_mode and Path(self.build_lib).exists():
            shutil.rmtree(self.build_lib)
        super().run()


setup(
    cmdclass={"build_py": BuildAfresh},
    packages=[*find_packages(include=["sopslab*"]), "sopslab.project"],
    package_dir={"sopslab.project": "."},
    # By its name it is known as what makes the wheel, and is no part of it.
    script_name="setup.py",
)
