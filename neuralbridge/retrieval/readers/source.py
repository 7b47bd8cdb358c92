"""Source code: verbatim. What a program is written in is known by its file's name only."""

from pathlib import PurePosixPath

from neuralbridge.retrieval.extract import Extract

LANGUAGES = {
    "python": "py pyi pyw",
    "javascript": "js mjs cjs jsx",
    "typescript": "ts mts cts",
    "tsx": "tsx",
    "java": "java",
    "c": "c h",
    "cpp": "cc cpp cxx hh hpp hxx ino",
    "go": "go",
    "rust": "rs",
    # Without a grammar: cut like text
    "shell": "sh bash zsh fish",
    "sql": "sql",
    "other": "rb php pl pm lua r jl kt kts scala swift cs fs vb ex exs erl hs ml mli clj lisp el dart groovy gradle "
    "zig nim v vhd m mm asm s ps1 bat cmd awk sed tcl cmake make mk dockerfile tf proto graphql css scss sass less vue "
    "svelte toml yaml yml ini cfg conf env properties diff patch tex bib",
}
BY_ENDING = {ending: language for language, endings in LANGUAGES.items() for ending in endings.split()}
BY_NAME = {"makefile", "dockerfile", "cmakelists.txt", "rakefile", "gemfile", "jenkinsfile", "vagrantfile", "justfile"}


def language(name: str) -> str | None:
    """The language of a file of this name, None when it is no source code."""
    name = name.lower()
    return "other" if name in BY_NAME else BY_ENDING.get(PurePosixPath(name).suffix.removeprefix("."))


def read_source(text: str, name: str) -> Extract:
    return Extract("code", text, language=language(name))
