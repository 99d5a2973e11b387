"""The steps of a drill: the chapter's incident staged in one environment, or taken away again."""

from __future__ import annotations

from sopslab.config.environment import Environment
from sopslab.config.settings import Settings
from sopslab.files.archive import Tree
from sopslab.files.render import render_tree
from sopslab.incidents.leak import KEY, PATH
from sopslab.layout import ENVIRONMENT, TEMPLATES
from sopslab.model.steps import Step
from sopslab.provision.deploys import step
from sopslab.provision.operations import drill
from tasks.reset import begin_swept, chosen, deliver, end_drills


@step(Step.GIT)
def stage_leak(settings: Settings) -> None:
    """Stage the leak in the environments that the settings name; a drill names one."""
    environments = _begun(settings)
    for environment in environments:
        drill.leak(
            name=f"Stage a leak in {environment.repository}",
            settings=settings,
            environment=environment,
            text=drill_text(settings, environment),
        )


@step(Step.GIT)
def end_leak(settings: Settings) -> None:
    """Put the repositories back to where they were before their drills."""
    end_drills(settings, _begun(settings))


def _begun(settings: Settings) -> list[Environment]:
    environments = chosen(settings)
    begin_swept("Begin with the drill", settings, environments)
    return environments


@step(Step.FLUX)
def deliver_drill(settings: Settings) -> None:
    """Have Flux apply what the repositories now hold."""
    deliver(settings, chosen(settings))


def drill_text(settings: Settings, environment: Environment) -> Tree:
    """Return the texts of the drill, for the record and for the learner."""
    return render_tree(
        TEMPLATES / "drill",
        {
            "learner": environment.learner,
            "classroom": environment.is_seat,
            "environment": ENVIRONMENT,
            "repository_url": f"{settings.git_base_url}/{environment.repository}.git",
            "path": PATH,
            "key": KEY,
        },
    )
