"""`rsa probe`: what can be read out of each layer of one or more models."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from cli import options

ROLES = "abcdefgh"


@click.command("probe")
@click.option("--model", "names", multiple=True, required=True, metavar="NAME",
              help="A model; give the option again for more.")
@click.option("--weights", type=options.PATH, metavar="FILE|FOLDER",
              help="Own weights (with one --model).")
@options.data
@options.tasks
@options.probing
@options.layers
@click.option("--twins", is_flag=True,
              help="Probe the untrained twin of each model too: what training made decodable.")
@options.why
@options.out
@click.option("--no-report", is_flag=True, help="Numbers only, no PDF.")
@options.running
@options.as_json
@options.quiet
def command(
    names, weights, data, manifest, limit, tasks, protocol, heads, checks, max_frames, layers,
    twins, why, out, no_report, as_json, quiet, **running,
):  # fmt: skip
    """Train probes on every layer of one or more models and write a report.

    Settings of each probe and the layer are chosen on validation; scores are on test, with
    intervals over groups, beside chance and the references. Finished tasks are kept.
    """
    from cli.owntask import wanted_tasks
    from cli.probing import (
        FRAMES,
        probe_models,
        resolve_probing,
        resolve_tasks,
        row_kinds,
        show_probes,
    )  # fmt: skip
    from cli.record import begin_study, default_folder, study_folder, write_study
    from cli.screen import Screen
    from cli.steps import (
        Run,
        check_model,
        data_name,
        deviations,
        extract_rows,
        gather_failures,
        known_name,
        load_model,
        load_twins,
        open_data,
        resolve_device,
    )  # fmt: skip
    from cli.why import explain

    if weights and len(names) > 1:
        raise click.UsageError("--weights goes with one --model; run the command once for each")
    if len(names) > len(ROLES):
        raise click.UsageError(f"at most {len(ROLES)} models at a time")
    if tasks.strip() == "none":
        raise click.UsageError("--task none: nothing to probe; name tasks, or use all")
    screen = Screen(quiet, results=not as_json)
    for name in names:
        check_model(name)
    running["device"] = resolve_device(running["device"])
    run = Run(**running)
    wanted = wanted_tasks(tasks, data, manifest)
    data, manifest = wanted.data, wanted.manifest
    probing = resolve_probing(protocol, heads, known_name(data), run.seed, max_frames, checks)
    folder = study_folder(out, default_folder(*names))
    roles = dict(zip(ROLES, names, strict=False))
    untrained = load_twins({r: (name, layers) for r, name in roles.items()}, run) if twins else {}
    models = {role: load_model(name, weights, run, layers) for role, name in roles.items()}
    with screen.stage(f"data set {data}"):
        dataset, clips = open_data(data, manifest, limit, screen.warn)
        chosen = resolve_tasks(wanted, dataset, clips)
    frames = [task.name for task in chosen if task.kind == "frames"]
    if frames and protocol != "linear":
        screen.warn(f"--protocol {protocol} has no head on frames: left out {', '.join(frames)}")
        chosen = [task for task in chosen if task.name not in frames]
    if not chosen:
        raise click.UsageError(
            f"--data {data}: it has no labels to probe so; give a manifest with label columns"
        )

    from extract.models import references

    everyone = {**models, **untrained, "ref": references()}
    activations = {
        role: extract_rows(model, dataset, clips, row_kinds(chosen, probing), run, screen)
        for role, model in everyone.items()
    }
    failures = gather_failures(activations, screen)
    begin_study(folder)
    results = probe_models(activations, chosen, probing, run, folder, screen)
    rows = next((kind for kind in row_kinds(chosen, probing) if not kind.startswith(FRAMES)), None)
    if why and rows:
        explain(activations, chosen, results, rows, run, folder, screen)
    titles = ", ".join(model.card.title for model in models.values())
    write_study(
        folder,
        title=f"{titles} probed on {data_name(data, dataset)}",
        models=models,
        twins=untrained,
        deviations={role: deviations(found) for role, found in activations.items()},
        references=everyone["ref"],
        dataset=dataset,
        clips=clips,
        rows={},
        failures=failures,
        settings={"models": list(names), "data": data, "limit": limit, "tasks": tasks,
                  "protocol": protocol, "heads": heads, "checks": checks,
                  "max_frames": probing.max_frames, "twins": twins, "why": why, **asdict(run)},
        device=run.device,
        seed=run.seed,
        timings=screen.timings,
    )  # fmt: skip
    report = None
    if not no_report:
        from reports import write_report

        with screen.stage("report"):
            report = write_report(folder)
    if as_json:
        click.echo(json.dumps({role: r.as_json() for role, r in results.items()}, indent=1))
    else:
        show_probes(results)
        click.echo(report or folder)
