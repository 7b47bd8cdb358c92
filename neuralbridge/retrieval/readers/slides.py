"""Presentations: a slide is a page, its title a heading; notes belong to it."""

from io import BytesIO

import pptx

from neuralbridge.retrieval.extract import Extract, ExtractBuilder
from neuralbridge.retrieval.readers.archive import guard
from neuralbridge.retrieval.readers.decode import clean
from neuralbridge.retrieval.readers.kinds import Kind


def read(raw: bytes, name: str, kind: Kind) -> Extract:
    guard(raw, name)
    presentation = pptx.Presentation(BytesIO(raw))
    builder = ExtractBuilder("pptx")
    builder.title = clean(presentation.core_properties.title or "").strip() or None
    for number, slide in enumerate(presentation.slides, 1):
        builder.page(number)
        title = slide.shapes.title
        if title is not None and title.has_text_frame:
            builder.heading(1, clean(title.text_frame.text))
        for shape in slide.shapes:
            if title is not None and shape.shape_id == title.shape_id:
                continue
            if shape.has_text_frame:
                builder.paragraph(clean(shape.text_frame.text))
            elif shape.has_table:
                rows = [[" ".join(clean(cell.text).split()) for cell in row.cells] for row in shape.table.rows]
                builder.block("\n".join(" | ".join(row) for row in rows if any(row)))
        if slide.has_notes_slide and slide.notes_slide.notes_text_frame is not None:
            builder.paragraph(clean(slide.notes_slide.notes_text_frame.text))
    return builder.build()
