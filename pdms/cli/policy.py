"""`pdms policy`: check, explain, diff, test, activate, history, revert."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from pdms.cli.face import Face
from pdms.cli.render import show
from pdms.clock import SHANGHAI
from pdms.taxonomy import Language

if TYPE_CHECKING:
    from pdms.unit_of_work import UnitOfWork

app = typer.Typer(no_args_is_help=True, help="Policy documents: the law as this shop applies it.")


@app.command("check")
def check(
    context: typer.Context, folder: Annotated[Path | None, typer.Argument(help="Folder; default: this home's.")] = None
) -> None:
    """Load policy documents strictly and run their tests; every gap and contradiction is named (exit code 2).

    Example: `pdms policy check ./policies`
    """
    from pdms.errors import InvalidInput
    from pdms.policy.check import advise
    from pdms.policy.loader import load
    from pdms.policy.tests_runner import run

    face: Face = context.obj
    if folder is None:
        face.sequence()  # this home's documents are shown to operators only
    policy = load(folder) if folder is not None else face.app.documents
    results = run(policy, now=face.clock.now())
    failed = [r.case.name for r in results if not r.passed]
    told = {
        "policy": policy.digest,
        "purposes": len(policy.purposes),
        "views": sorted(policy.views),
        "sources": sorted(policy.sources),
        "notices": sorted(policy.notices),
        "policy_tests": f"{len(results) - len(failed)} of {len(results)} passed",
        "failed": failed,
        "advice": advise(policy, today=face.clock.now().astimezone(SHANGHAI).date()),
    }
    show(told, as_json=face.json, title="policy")
    if failed:
        raise InvalidInput("policy: its own tests fail")


@app.command("explain")
def explain(
    context: typer.Context,
    purpose: Annotated[str, typer.Argument(help="A purpose, e.g. segment.")],
    language: Annotated[Language, typer.Option(help="zh-CN or en.")] = Language.EN,
    draft: Annotated[
        bool, typer.Option("--draft", help="What the documents say, before they are activated; not what is in force.")
    ] = False,
) -> None:
    """Say in words what the policy in force allows for a purpose, with articles (PIPL-48).

    Example: `pdms policy explain segment --language zh-CN`
    """
    from pdms.policy.explain import explain as text_of

    face: Face = context.obj
    face.sequence()
    text = text_of(face.app.documents if draft else face.app.policy, purpose=purpose, language=language)
    show({"text": text} if face.json else text, as_json=face.json)


@app.command("diff")
def diff(
    context: typer.Context,
    folder: Annotated[
        Path | None, typer.Argument(help="Folder with the changed policy; default: this home's, as it is now.")
    ] = None,
    language: Annotated[Language, typer.Option(help="zh-CN or en.")] = Language.EN,
) -> None:
    """Say what a changed policy would do: every rule that differs, weaker ones first, and who must be asked again.

    Compares FOLDER with the policy in force; read it before you approve an activation by its digest. It names the
    consents that the change invalidates, and how many members that is (PIPL-14-2).

    Example: `pdms policy diff ./policies-next --language zh-CN`
    """
    from pdms.gate import service
    from pdms.policy.loader import load
    from pdms.policy.rule_changes import in_words

    face: Face = context.obj
    face.sequence()
    found = face.run(service.difference, after=load(folder if folder is not None else face.app.policies))
    if face.json:
        show(found, as_json=True)
        return
    words = DIFFERENCE[language]
    told: dict[str, object] = {
        words["before"]: found.before,
        words["after"]: words["same"] if found.same else found.after,
        words["added"]: found.added,
        words["removed"]: found.removed,
        words["new notices"]: found.new_notices,
        words["ask again"]: found.members_to_ask_again,
    }
    show(told, as_json=False, title=words["title"])
    if found.rules:
        rows = [{words[name]: text for name, text in in_words(one, language=language).items()} for one in found.rules]
        show(rows, as_json=False, title=words["rules"].format(len(found.rules)))


DIFFERENCE: Final = {
    Language.EN: {
        "title": "difference",
        "before": "in force",
        "after": "would be",
        "same": "the same, under the same digest",
        "added": "new purposes",
        "removed": "purposes that go",
        "new notices": "new notices",
        "ask again": "members to ask again",
        "rules": "{} rules differ",
        "rule": "rule",
        "effect": "effect",
    },
    Language.ZH: {
        "title": "差异",
        "before": "现行",
        "after": "变更后",
        "same": "相同（摘要一致）",
        "added": "新增目的",
        "removed": "删除目的",
        "new notices": "新告知",
        "ask again": "须重新征得同意的会员数",
        "rules": "{} 项规则不同",
        "rule": "规则",
        "effect": "影响",
    },
}
"""Words of the table, by language."""


@app.command("test")
def test(context: typer.Context) -> None:
    """Run the policy's own tests (`policies/tests/*.yaml`) and show each (exit code 2 where one fails)."""
    from pdms.errors import InvalidInput
    from pdms.policy.tests_runner import run

    face: Face = context.obj
    face.sequence()
    results = run(face.app.documents, now=face.clock.now())
    rows = [
        {
            "test": r.case.name,
            "passed": r.passed,
            "decision": "permit" if r.decision.permitted else "deny",
            "reasons": r.decision.codes,
        }
        for r in results
    ]
    show(rows, as_json=face.json, title="policy tests")
    if not all(r.passed for r in results):
        raise InvalidInput("policy: its own tests fail")


@app.command("schema")
def schema(context: typer.Context) -> None:
    """Print the JSON Schema of the policy documents, for editors (also in docs/policy-schema.json).

    Example: `pdms policy schema > policy-schema.json`
    """
    import json

    from pdms.policy.schema import schema as made

    face: Face = context.obj
    typer.echo(json.dumps(made(), indent=None if face.json else 1, ensure_ascii=False))


@app.command("activate")
def activate(context: typer.Context) -> None:
    """Put the policy documents as they are now in force (scope: admin or compliance); done or refused, it is an event.

    A second operator approves it first: `pdms access approvals ask policy_activation`. A running server goes on by them
    from its next request on. Example: `pdms policy check && pdms policy activate`
    """
    from pdms.gate import service

    face: Face = context.obj
    face.as_in_force = True
    found = face.run(service.activate_documents, folder=face.app.policies)
    show(found, as_json=face.json, title="in force")


@app.command("history")
def history(context: typer.Context) -> None:
    """List which policies were in force, from when, and who put them there (scope: admin or compliance)."""
    from pdms.gate import service
    from pdms.taxonomy import Scope

    face: Face = context.obj

    def work(uow: "UnitOfWork") -> tuple[service.PolicyInForce, ...]:
        uow.require(Scope.ADMIN, Scope.COMPLIANCE)
        return service.history(uow)

    show(face.run(work), as_json=face.json, title="history")


@app.command("revert")
def revert(
    context: typer.Context,
    digest: Annotated[str, typer.Argument(help="Digest of a policy that was in force, from `pdms policy history`.")],
) -> None:
    """Put an earlier policy in force again, as it was (scope: admin or compliance); the change is an event.

    A second operator approves it first: `pdms access approvals ask policy_activation --policy 4f0c...`. The documents
    in the folder stay as they are: mend them before the next `pdms policy activate`.
    Example: `pdms policy revert 4f0c...`
    """
    from pdms.gate import service
    from pdms.taxonomy import Scope

    face: Face = context.obj

    def work(uow: "UnitOfWork") -> service.Activation:
        uow.require(Scope.ADMIN, Scope.COMPLIANCE)
        return service.revert(uow, digest=digest)

    show(face.run(work), as_json=face.json, title="in force")
