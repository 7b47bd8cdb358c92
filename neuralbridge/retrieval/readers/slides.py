"""Presentations (pptx), by python-pptx: a slide is a page, its title a heading, its notes belong to it."""

import io
from collections.abc import Iterable, Iterator
from typing import Any

from pptx import Presentation
from pptx.shapes.base import BaseShape
from pptx.shapes.group import GroupShape

from neuralbridge.retrieval.extract import Extract, ExtractBuilder, one_line


def read_pptx(raw: bytes) -> Extract:
    presentation = Presentation(io.BytesIO(raw))
    builder = ExtractBuilder("pptx")
    builder.title = presentation.core_properties.title
    if builder.title == "PowerPoint Presentation":  # what both PowerPoint and the library say when nobody said anything
        builder.title = None
    for number, slide in enumerate(presentation.slides, 1):
        builder.page(number)
        title = slide.shapes.title
        if title is not None and title.has_text_frame:
            builder.heading(1, title.text_frame.text)
            builder.title = builder.title or title.text_frame.text
        for shape in leaves(slide.shapes):
            if title is None or shape.shape_id != title.shape_id:
                add_shape(builder, shape)
        if slide.has_notes_slide and (notes := slide.notes_slide.notes_text_frame) is not None:
            builder.paragraph(notes.text)
    return builder.build()


def leaves(shapes: Iterable[BaseShape]) -> Iterator[BaseShape]:
    for shape in shapes:
        if isinstance(shape, GroupShape):
            yield from leaves(shape.shapes)
        else:
            yield shape


def add_shape(builder: ExtractBuilder, shape: Any) -> None:
    if shape.has_text_frame:
        # A line for each paragraph: a slide's are half sentences that belong together
        builder.paragraph("\n".join(filter(None, (one_line(part.text) for part in shape.text_frame.paragraphs))))
    elif getattr(shape, "has_table", False):
        cells = ([one_line(cell.text) for cell in row.cells] for row in shape.table.rows)
        builder.block("\n".join(" | ".join(row) for row in cells if any(row)))
