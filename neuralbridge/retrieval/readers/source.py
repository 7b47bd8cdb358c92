"""Which files are source code, and alike: read verbatim. Their names are all there is to tell."""

from pathlib import PurePosixPath

ENDINGS = set(
    """asm awk bash bat bib c cc cfg cjs clj cls cmake cmd conf cpp cs css cts cxx dart diff el elm env erl ex exs f90
    fish fs go gradle graphql groovy h hh hpp hs hxx ini ino java jl js jsx kt kts less lisp lua m mjs mk ml mli mm mts
    nim patch php pl pm properties proto ps1 py pyi pyw r rb rs s sass scala scm scss sh sol sql sty svelte swift tcl
    tex tf toml ts tsx v vb vhd vue yaml yml zig zsh""".split()  # noqa: SIM905  # one per line is a page
)
NAMES = {"makefile", "dockerfile", "cmakelists.txt", "rakefile", "gemfile", "jenkinsfile", "vagrantfile", "justfile"}


def is_source(name: str) -> bool:
    name = name.lower()
    return name in NAMES or PurePosixPath(name).suffix.removeprefix(".") in ENDINGS
