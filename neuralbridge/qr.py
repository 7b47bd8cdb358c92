"""QR codes, for a camera to read from a terminal or from the page."""

from io import BytesIO, StringIO

import segno

QUIET = 4  # modules of white around it, as ISO/IEC 18004 wants


def terminal(text: str) -> str:
    """Lines for a terminal with light letters on a dark ground; a character is two modules high."""
    out = StringIO()
    code(text).terminal(out, border=QUIET, compact=True)
    return out.getvalue().rstrip("\n")


def svg(text: str) -> str:
    """An SVG image that fills what it stands in, black on white whatever the page's colours are."""
    out = BytesIO()
    code(text).save(out, kind="svg", xmldecl=False, nl=False, border=QUIET, dark="#000", light="#fff", omitsize=True)
    return out.getvalue().decode()


def code(text: str) -> segno.QRCode:
    """Raises ValueError for a text that no code holds: 2,331 bytes is the most."""
    return segno.make_qr(text, error="m", boost_error=False)
