"""``instep tune``: the slow clock, one round or for as long as a service runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from instep.domain import ConfigError
from instep.serve.cli import folder_argument, with_terminal
from instep.serve.terminal import Terminal

if TYPE_CHECKING:
    from instep.serve.config import Config
    from instep.serve.folder import Folder
    from instep.tune.making import Order
    from instep.tune.registry import Version
    from instep.tune.train import Result

F = TypeVar("F", bound=Callable[..., Any])
_METHODS = ("lora", "adalora", "prefix", "adapter", "ia3", "head", "last-n", "full")
_TASKS = ("matching", "acts", "rating", "masked", "simcse", "ranking")


def _options(function: F) -> F:
    """The options of a round, in the order of docs/tune.md."""
    at_least_0, at_least_1 = click.IntRange(0), click.IntRange(1)
    share = click.FloatRange(0, 0.5, max_open=True)
    for option in reversed(
        (
            click.option(
                "--task", type=click.Choice(_TASKS), default="matching", show_default=True, help="What for."
            ),
            click.option(
                "--method",
                type=click.Choice(_METHODS),
                default="lora",
                show_default=True,
                help="What is trained.",
            ),
            click.option(
                "--model",
                default="live",
                show_default=True,
                help="What is tuned: live, base, english, v0001, a folder, a Hugging Face name.",
            ),
            click.option("--steps", type=at_least_1, default=120, show_default=True, help="At most so many."),
            click.option("--minutes", type=click.FloatRange(0), default=0.0, help="At most so long."),
            click.option(
                "--lr", type=click.FloatRange(0), default=0.0, help="Learning rate.  [default: by method]"
            ),
            click.option(
                "--rank", type=at_least_1, default=8, show_default=True, help="Of lora and adalora."
            ),
            click.option(
                "--layers", type=at_least_1, default=2, show_default=True, help="How many, for last-n."
            ),
            click.option("--size", type=at_least_0, default=0, help="Of adapters (64) and prefixes (10)."),
            click.option(
                "--dropout", type=click.FloatRange(0, 1, max_open=True), default=0.1, show_default=True
            ),
            click.option(
                "--optimiser",
                type=click.Choice(("adamw", "sgd", "adamw8bit")),
                default="adamw",
                show_default=True,
            ),
            click.option(
                "--schedule",
                type=click.Choice(("cosine", "linear", "constant")),
                default="cosine",
                show_default=True,
            ),
            click.option(
                "--warmup", type=click.FloatRange(0, 1, max_open=True), default=0.1, show_default=True
            ),
            click.option(
                "--decay", type=click.FloatRange(0), default=0.01, show_default=True, help="Weight decay."
            ),
            click.option(
                "--clip", type=click.FloatRange(0), default=1.0, show_default=True, help="Gradient norm."
            ),
            click.option(
                "--accumulate", type=at_least_1, default=1, show_default=True, help="Batches a step."
            ),
            click.option(
                "--precision", type=click.Choice(("fp32", "bf16")), default="fp32", show_default=True
            ),
            click.option("--device", default="auto", show_default=True, help="cpu, cuda, mps."),
            click.option("--threads", type=at_least_0, default=0, help="Of the processor.  [default: all]"),
            click.option("--processes", type=at_least_1, default=1, show_default=True, help="Side by side."),
            click.option("--seed", type=int, default=0, show_default=True),
            click.option(
                "--patience", type=at_least_0, default=3, show_default=True, help="0: never stop early."
            ),
            click.option(
                "--validate-every", type=at_least_0, default=0, help="Steps.  [default: a fifth of all]"
            ),
            click.option("--checkpoint-every", type=at_least_1, default=20, show_default=True, help="Steps."),
            click.option(
                "--validation", type=share, default=0.1, show_default=True, help="Share of the acts."
            ),
            click.option(
                "--hold-back", type=share, default=0.1, show_default=True, help="Share left to the gate."
            ),
            click.option(
                "--fresh", type=click.FloatRange(0, 1), default=0.0, help="Share of new feedback in the mix."
            ),
            click.option("--from", "start", type=at_least_0, default=0, help="First log offset."),
            click.option(
                "--to", "stop", type=int, default=-1, help="Offset after the last.  [default: the end]"
            ),
            click.option(
                "--set", "settings", multiple=True, metavar="NAME=VALUE", help="A setting of the task."
            ),
            click.option(
                "--track",
                multiple=True,
                type=click.Choice(("tensorboard", "wandb", "mlflow", "none")),
                help="Where numbers go.  [default: tensorboard]",
            ),
            click.option(
                "--search", type=at_least_0, default=0, metavar="N", help="Try N settings first (Optuna)."
            ),
            click.option(
                "--resume", is_flag=True, help="Go on with the run that was killed, as it was ordered."
            ),
            click.option(
                "--shadow",
                type=at_least_0,
                default=0,
                metavar="N",
                help="Have the gate wait for N live choices, on which it is scored and shown to nobody.",
            ),
            click.option("--no-gate", is_flag=True, help="Store it unjudged."),
            click.option("--promote", is_flag=True, help="Have it serve if the gate finds it not worse."),
        )
    ):
        function = option(function)
    return function


@click.command()
@folder_argument
@_options
@click.option("--follow", is_flag=True, help="Keep tuning, when there is reason to ([tune] of the settings).")
@click.option("--until-input-ends", is_flag=True, hidden=True)
@with_terminal
def command(terminal: Terminal, folder: str, follow: bool, until_input_ends: bool, **given: Any) -> None:
    """Tune FOLDER's language model on its log: a new version, judged by what it has not seen. Safe beside a service.

    \b
    Examples:
      instep tune shop.instep
      instep tune shop.instep --method adapter --steps 300 --promote
      instep tune shop.instep --shadow 500 --promote
      instep tune shop.instep --task acts --set labels=buy,cart,view,none
      instep tune shop.instep --follow
    """
    from instep.serve.config import load_config
    from instep.serve.folder import Folder

    if given["shadow"] and given["no_gate"]:
        raise click.UsageError(
            "--shadow is for the gate, which --no-gate leaves out (`instep models shadow` wants none)"
        )
    place = Folder(folder, create=False)
    config = load_config(place.path)
    if follow:
        from instep.serve.following import follow_folder

        options = given_options(click.get_current_context())
        follow_folder(place, config, terminal.say, options, until_input_ends=until_input_ends)
        return
    _round(terminal, place, config, given)


def _round(terminal: Terminal, place: Folder, config: Config, given: dict[str, Any]) -> None:
    """One round: train, store, judge, promote."""
    from instep.log import LogReader
    from instep.serve.verifying import log_file
    from instep.tune.making import make_version, unfinished
    from instep.tune.registry import FOLDER, Registry

    log = LogReader(log_file(place, config))
    registry = Registry(place.path / FOLDER)
    order = _order(given)
    if given["resume"]:
        begun = unfinished(registry)
        if begun is None:
            raise ConfigError(f"{registry.folder}: no run was killed, so there is none to resume")
        order = begun
    with terminal.progress() as report:
        if given["search"]:
            from instep.tune.search import search

            order = search(log, registry, order, given["search"], config.encoder, config.rewards, report)
        if given["processes"] > 1:
            from instep.tune.processes import make_version_in

            version, result = make_version_in(
                given["processes"], log, registry, order, config.encoder, config.rewards
            )
        else:
            version, result = make_version(log, registry, order, config.encoder, config.rewards, report)
        said: str = "not judged"
        fields: dict[str, Any] = {}
        if not version.encoder:
            said = f'not asked: it makes no vectors; `causal.model = "{version.name}"` uses it'
        elif not given["no_gate"]:
            said = _shadowed(place, config, log, version.name, report, given["shadow"])
            if not said:
                said, fields = _judged(place, config, log, version.name, report)
    if given["promote"] and said == "passed" and not result.best:
        said += ", not promoted: no step was better than none, so it is what it was tuned from"
    elif given["promote"] and said == "passed":
        registry.promote(version.name, records_now=log.count(version.start, version.end))
        said += ", promoted"
    _tell(terminal, version, result, said, fields)


def _order(given: dict[str, Any]) -> Order:
    from instep.tune.making import Order
    from instep.tune.methods import Method
    from instep.tune.train import Plan

    def some(kind: Any) -> dict[str, Any]:
        return {name: given[name] for name in kind.__struct_fields__ if name in given}

    method = {name: value for name, value in some(Method).items() if name != "name"}
    return Order(
        task=given["task"],
        model=given["model"],
        method=Method(given["method"], **method),
        plan=Plan(**some(Plan)),
        settings=_settings(given["settings"]),
        start=given["start"],
        stop=given["stop"],
        validation=given["validation"] or 0.1,
        hold_back=0.0 if given["no_gate"] else given["hold_back"],
        fresh=given["fresh"] if given["fresh"] < 1 else 0.99,
        track=given["track"] or ("tensorboard",),
    )


def _settings(pairs: tuple[str, ...]) -> dict[str, Any]:
    """NAME=VALUE to numbers, switches and words; with commas a list."""
    import msgspec

    found: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise click.BadParameter(f"{pair!r}: the form is NAME=VALUE", param_hint="--set")
        try:
            found[name.replace("-", "_")] = msgspec.json.decode(value)
        except msgspec.DecodeError:
            found[name.replace("-", "_")] = value.split(",") if "," in value else value
    return found


def _shadowed(place: Folder, config: Config, log: Any, name: str, report: Any, events: int) -> str:
    """Score the version on so many live choices; why the gate is not to be asked, "" when it is."""
    if not events:
        return ""
    from instep.serve.judging import shadow_in_folder
    from instep.tune.shadowing import Until

    try:
        found = shadow_in_folder(place, config, log, name, report, Until(events))
    except ConfigError as error:
        return f"not judged: {error}"
    if found.events < events:
        return f"not judged: {found.ended} after {found.events:,} of {events:,} live choices"
    return ""


def _judged(place: Folder, config: Config, log: Any, name: str, report: Any) -> tuple[str, dict[str, Any]]:
    """What the gate says; a version that it cannot judge is not passed."""
    import msgspec

    from instep.serve.judging import judge_in_folder

    try:
        decision = judge_in_folder(place, config, log, name, report)
    except ConfigError as error:
        return f"not judged: {error}", {}
    said = "passed" if decision.passed else "refused: " + "; ".join(decision.reasons)
    return said, msgspec.to_builtins(decision)


def _tell(terminal: Terminal, version: Version, result: Result, gate: str, decision: dict[str, Any]) -> None:
    import msgspec

    rows = [
        (
            "version",
            f"{version.name}, {version.task} by {version.method} on {version.parent or version.base}",
        ),
        ("trained", f"{result.trained:,} parameters, {result.share:.2%} of all"),
        ("steps", f"{result.steps}, {result.seconds_a_step:.2f} s each; best after {result.best}"),
        ("loss", f"{result.loss:.4f}"),
    ]
    for name, after in result.after.items():
        rows.append((name, f"{result.before.get(name, float('nan')):.4f} -> {after:.4f}"))
    rows.append(("gate", gate))
    if result.resumed:
        rows.append(("resumed", f"after step {result.resumed}"))
    text = "\n".join(f"{name:<14}{value}" for name, value in rows)
    terminal.result(
        text,
        version=msgspec.to_builtins(version),
        training=msgspec.to_builtins(result),
        gate=gate,
        decision=decision,
    )


def given_options(context: click.Context) -> list[str]:
    """The options that were given on the command line, for each round of --follow."""
    words: list[str] = []
    for option in context.command.params:
        name = option.name or ""
        given = context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE
        if (
            not isinstance(option, click.Option)
            or not given
            or name in ("follow", "until_input_ends", "promote")
        ):
            continue
        value = context.params[name]
        if option.is_flag:
            words += [option.opts[0]] if value else []
            continue
        for each in value if option.multiple else [value]:
            words += [option.opts[0], str(each)]
    return words
