"""What pyproject.toml cannot say: the wheel holds the top level of the repository, in a folder of
the package. `sopslab.layout` finds it there."""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["sopslab*"]), "sopslab.project"],
    package_dir={"sopslab.project": "."},
    # By its name it is known as what makes the wheel, and is no part of it.
    script_name="setup.py",
)
