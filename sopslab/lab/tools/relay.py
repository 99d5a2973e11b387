"""Work on the repositories of the lab's own Git server, where they are: on this machine, or in the
server's pod."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar, cast, get_type_hints

from sopslab.checks.causes import reason
from sopslab.config.naming import git_namespace
from sopslab.config.places import Lab, Places
from sopslab.errors import LabError
from sopslab.lab.tools.kubectl import Kubectl
from sopslab.lab.tools.programs import Failed
from sopslab.model.git_pod import NAME, POD
from sopslab.model.wire import decode, encode, name_of

Order = ParamSpec("Order")
Seen = TypeVar("Seen")
Where = TypeVar("Where", bound=Places)

SILENT = "the Git server in the cluster does not answer: `sopslab status` says more"
_PATIENCE_S = 120
# kubectl says this if the command in the pod has failed, and not kubectl itself.
_THERE = "command terminated with exit code"
# The lab as the pod sees it: the image has the lab's Git data at /srv/git.
IN_POD = Lab(
    lab="server", root="/srv", cluster_provider="existing", context=None, git_bind="127.0.0.1",
    git_port=0, git_url=None, git_cluster_url=None, docker_host=None, instructor_recipient=None,
    learner_id="",
)  # fmt: skip


def where_repositories_are(
    function: Callable[Concatenate[Where, Order], Seen],
) -> Callable[Concatenate[Where, Order], Seen]:
    """Make a function of `sopslab.lab` run where the repositories are.

    In the server's pod, one call of the same program does everything that the function is asked to
    do. It raises LabError where the pod does not answer, and also, with the meaning of the failure,
    where the function fails there.
    """

    @wraps(function)
    def there(lab: Where, *given: Order.args, **order: Order.kwargs) -> Seen:
        if lab.git_pod is None:
            return function(lab, *given, **order)
        bound = inspect.signature(function).bind(lab, *given, **order).arguments
        named = dict(list(bound.items())[1:])
        found: Seen = _asked(lab, function, named)
        return found

    return cast(Callable[Concatenate[Where, Order], Seen], there)


def _asked(lab: Places, function: Callable[..., Any], order: dict[str, Any]) -> Any:
    try:
        said = Kubectl(lab).run(
            "--namespace", git_namespace(lab.lab), "exec", POD, "--container", NAME, "--stdin",
            "--", "/usr/bin/python3", "-P", "-m", "sopslab.lab", name_of(function),
            stdin=json.dumps(encode({"lab": IN_POD, **order})).encode(), patience=_PATIENCE_S,
        )  # fmt: skip
        return decode(get_type_hints(function)["return"], json.loads(said))
    except Failed as failure:
        if not any(line.startswith(_THERE) for line in failure.lines):
            raise LabError(SILENT) from failure
        meaning = reason(failure.lines)
        raise LabError(f"the Git server in the cluster failed: {meaning}") from failure
    except ValueError:
        # Such as an answer that was cut off.
        raise LabError(SILENT) from None
