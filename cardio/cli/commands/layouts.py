"""``cardio layouts``: lists the available card structures, the user's own first; or shows one of them as a page."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from cardio.cli.command import DONE, Command
from cardio.cli.output import Output

_FAULTY = 78


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--page", metavar="FILE", type=Path, help="把结构文件排成 Markdown / a layout file as Markdown")


def _run(options: Namespace, output: Output) -> int:
    if options.page is not None:
        return _page(options.page, output)
    from cardio.errors import LayoutError
    from cardio.filesystem.layouts.loader import GENERATIONS, layout_of, load_layout
    from cardio.filesystem.layouts.registry import LayoutChoice, user_folder

    choice = LayoutChoice.installed()
    layouts = [layout_of(generation) for generation in GENERATIONS]
    problems = list(choice.problems)
    for expansion in choice.expansions:
        try:
            layouts += [load_layout(expansion.path, generation=generation) for generation in expansion.generations]
        except LayoutError as error:
            problems.append(error)
    if output.as_json:
        listed = [
            {"regions": list(one.regions), "generation": one.generation, "title": one.title, "file": one.origin}
            for one in layouts
        ]
        output.document({"folder": str(user_folder()), "layouts": listed, "problems": [p.detail for p in problems]})
    else:
        rows = [output.titles("地区 regions", "代 gen.", "名称 title", "文件 file")]
        national = output.label("全国", "national")
        rows += [
            (
                output.listed(one.regions) or national,
                str(one.generation),
                output.label(one.title, one.title_en),
                one.origin,
            )
            for one in layouts
        ]
        output.table(rows, head=True)
        output.text("\n" + output.named("自己的结构文件放在", "put your own into", str(user_folder())))
        for problem in problems:
            output.error(problem)
    return _FAULTY if problems else DONE


def _page(path: Path, output: Output) -> int:
    from cardio.filesystem.layouts.page import expansion_page
    from cardio.filesystem.layouts.registry import Expansion

    page = expansion_page(Expansion.load(path))
    if output.as_json:
        output.document({"file": str(path), "page": page})
    else:
        output.text(page.rstrip("\n"))
    return DONE


LAYOUTS = Command(
    name="layouts",
    help="可用的卡结构：全国、地方、自己的 / the card structures at hand: national, regional, your own",
    examples="  cardio layouts\n  cardio layouts --page my-region.toml > my-region.md",
    add_arguments=_add_arguments,
    run=_run,
)
