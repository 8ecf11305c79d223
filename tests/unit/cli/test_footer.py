"""What stands below the lines of a screen, drawn on a terminal that is a text."""

from __future__ import annotations

import io

from rich.console import Console

from multirig.cli.footer import Footer


def screen() -> tuple[Footer, Console, io.StringIO]:
    text = io.StringIO()
    console = Console(file=text, force_terminal=True, width=60, highlight=False)
    return Footer(console), console, text


def test_what_is_shown_first_may_go_first_and_the_other_is_drawn_on() -> None:
    footer, _, text = screen()
    footer.show("step", "start waits")
    footer.show("recording", "recording for 0 s")
    footer.remove("step")
    for second in range(1, 4):
        footer.show("recording", f"recording for {second} s")
        assert f"recording for {second} s" in text.getvalue()
    footer.remove("recording")


def test_a_part_that_comes_while_another_is_shown_stands_below_it() -> None:
    footer, console, text = screen()
    footer.show("recording", "recording")
    footer.show("step", "stop waits")
    assert text.getvalue().rindex("recording") < text.getvalue().rindex("stop waits")
    console.print("a line")
    footer.remove("recording")
    footer.remove("step")
    footer.remove("step")
    assert "a line" in text.getvalue()
    footer.show("step", "clean up waits")
    assert "clean up waits" in text.getvalue()
    footer.remove("step")


def test_into_a_pipe_nothing_is_drawn() -> None:
    text = io.StringIO()
    footer = Footer(Console(file=text))
    footer.show("step", "start waits")
    footer.remove("step")
    assert text.getvalue() == ""
