"""`rsa compare`: two models on the same rows, layer by layer, into a study folder and a PDF."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from cli import options


@click.command("compare")
@click.option("--a", "a", required=True, metavar="NAME", help="First model; see `rsa models`.")
@click.option("--b", "b", required=True, metavar="NAME", help="Second model.")
@options.data
@options.tasks
@click.option("--measures", default="default", show_default=True, metavar="LIST",
              help="Similarity measures: `default`, or names and families separated by commas "
              "(cka, svcca, shape, mi); `all` for all of `rsa measures`.")
@options.rows
@click.option("--weights-a", type=options.PATH, metavar="FILE|FOLDER", help="Weights of A.")
@click.option("--weights-b", type=options.PATH, metavar="FILE|FOLDER", help="Weights of B.")
@click.option("--layers-a", metavar="LIST", help="Keep these layers of A only.")
@click.option("--layers-b", metavar="LIST", help="Keep these layers of B only.")
@click.option("--twins", is_flag=True,
              help="Compare each model with its untrained twin too: what training made alike.")
@options.why
@options.out
@click.option("--no-report", is_flag=True, help="Numbers only, no PDF.")
@options.running
@options.as_json
@options.quiet
def command(
    a, b, data, manifest, limit, tasks, measures, rows, grid, weights_a, weights_b, layers_a,
    layers_b, twins, why, out, no_report, as_json, quiet, **running,
):  # fmt: skip
    """Compare two models layer by layer and write a report.

    One pass over the audio a model; similarity within and across the models and to references;
    probes on every layer; everything as JSON and CSV in the study folder, with report.pdf.
    """
    from cli.layers import describe_layers
    from cli.owntask import wanted_tasks
    from cli.probing import probe_models, resolve_probing, resolve_tasks, task_kinds
    from cli.record import begin_study, default_folder, study_folder, write_study
    from cli.screen import Screen
    from cli.similarity import compare_models, resolve_measures
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

    screen = Screen(quiet, results=not as_json)
    check_model(a)
    check_model(b)
    chosen = resolve_measures(measures)
    running["device"] = resolve_device(running["device"])
    run = Run(**running)
    wanted = wanted_tasks(tasks, data, manifest)
    data, manifest = wanted.data, wanted.manifest
    folder = study_folder(out, default_folder(a, b))
    untrained = load_twins({"a": (a, layers_a), "b": (b, layers_b)}, run) if twins else {}
    models = {
        "a": load_model(a, weights_a, run, layers_a),
        "b": load_model(b, weights_b, run, layers_b),
    }
    with screen.stage(f"data set {data}"):
        dataset, clips = open_data(data, manifest, limit, screen.warn)
        chosen_tasks = resolve_tasks(wanted, dataset, clips)
        if wanted.names == ("all",):  # frames have rows of their own: by name, or `rsa probe`
            chosen_tasks = [task for task in chosen_tasks if task.kind != "frames"]
    if rows == "clips":  # known before any network has run
        from rsa.rows.joint import check_enough

        check_enough(len(clips))

    from extract.models import references

    kind = "clips" if rows == "clips" else f"frames:{grid:g}"
    kinds = list(dict.fromkeys([kind, *task_kinds(chosen_tasks)]))
    everyone = {**models, **untrained, "ref": references()}
    activations = {
        role: extract_rows(model, dataset, clips, kinds, run, screen)
        for role, model in everyone.items()
    }
    failures = gather_failures(activations, screen)

    begin_study(folder)
    compared = compare_models(
        {role: found[kind] for role, found in activations.items()}, chosen, run, folder, screen
    )
    describe_layers(
        {role: found[kind] for role, found in activations.items()}, dataset, run, folder, screen
    )
    probing = resolve_probing("linear", "none", known_name(data), run.seed)
    results = probe_models(activations, chosen_tasks, probing, run, folder, screen)
    if why:
        explain(activations, chosen_tasks, results, kind, run, folder, screen, across=True)
    titles = " and ".join(model.card.title for model in models.values())
    write_study(
        folder,
        title=f"{titles} on {data_name(data, dataset)}",
        models=models,
        twins=untrained,
        deviations={role: deviations(found) for role, found in activations.items()},
        references=everyone["ref"],
        dataset=dataset,
        clips=clips,
        rows=compared,
        failures=failures,
        settings={
            "a": a, "b": b, "data": data, "limit": limit, "rows": kind, "tasks": tasks,
            "measures": list(chosen), "twins": twins, "why": why, **asdict(run),
        },
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
        summary = {"study": str(folder), "report": report and str(report), **compared,
                   "failed": len(failures), "timings": dict(screen.timings)}  # fmt: skip
        click.echo(json.dumps(summary, indent=1))
    else:
        click.echo(report or folder)
