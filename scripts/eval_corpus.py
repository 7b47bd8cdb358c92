"""The documents that questions are asked about: Debian's own documentation, chapter by chapter as its packages ship it.

debian-handbook is left out: it is kept aside for others to measure with.
"""

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

CHAPTERS = {
    "apt-doc": ("usr/share/doc/apt-doc/guide.html/*.html", "usr/share/doc/apt-doc/offline.html/*.html"),
    "aptitude-doc-en": ("usr/share/doc/aptitude/html/en/*.html",),
    "debian-faq": ("usr/share/doc/debian/FAQ/*.en.html",),
    "debian-kernel-handbook": ("usr/share/doc/debian-kernel-handbook/kernel-handbook.html/*.html",),
    "debian-policy": ("usr/share/doc/debian-policy/policy.html/*.html",),
    "debian-reference-en": ("usr/share/debian-reference/*.en.html",),
    "developers-reference": ("usr/share/developers-reference/*.html",),
    "harden-doc": ("usr/share/doc/harden-doc/html/en-US/*.html",),
    "maint-guide": ("usr/share/doc/maint-guide/html/*.en.html",),
}
# Lists of what stands elsewhere, and a whole book in one file beside its chapters
NO_CHAPTER = re.compile(r"(index|search|genindex|footnotes|developers-reference\.html)")


def fetch_corpus(folder: Path) -> dict[str, str]:
    """Have the chapters in `folder`, a folder for each package; the packages' versions."""
    versions = {}
    with tempfile.TemporaryDirectory() as name:
        unpacked = Path(name)
        run("apt-get", "download", "-qq", *CHAPTERS, cwd=unpacked)
        for package, patterns in CHAPTERS.items():
            (archive,) = unpacked.glob(f"{package}_*.deb")
            versions[package] = run("dpkg-deb", "-f", archive, "Version", cwd=unpacked).strip()
            run("dpkg", "-x", archive, unpacked / package, cwd=unpacked)
            target = folder / package
            shutil.rmtree(target, ignore_errors=True)
            target.mkdir(parents=True)
            for pattern in patterns:
                for chapter in sorted((unpacked / package).glob(pattern)):
                    if not NO_CHAPTER.match(chapter.name):
                        shutil.copy(chapter, target / chapter.name)
    return versions


def run(*command: str | Path, cwd: Path) -> str:
    said = subprocess.run([*map(str, command)], cwd=cwd, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return said.stdout.decode()
