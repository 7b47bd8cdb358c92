// Why something was not found: what the server told (neuralbridge/retrieval/explanation.py), made ready to be said and shown. Pure.

export const MOST_TOLD = 25; // rows that the server tells of a stage

// The server says it in a sentence; each of these is one of its endings.
const VERDICTS = [
  [/^found: place (\d+), with a score of ([\d.e-]+)/, ([, place, score]) => ({ lost: null, place, score })],
  [/^lost at the threshold: its score is ([\d.e-]+), below ([\d.e-]+) \(place (\d+)\)/, ([, score, threshold, place]) => ({ lost: "threshold", score, threshold, place })],
  [/^lost at the budget: place (\d+), and the best (\d+)/, ([, place, most]) => ({ lost: "budget", place, most })],
  [/^lost before fusion:.*a filter/, () => ({ lost: "filter" })],
  [/^lost before fusion/, () => ({ lost: "fusion" })],
  [/^not in the library/, () => ({ lost: "library" })],
  [/^nothing was found/, () => ({ lost: "nothing" })],
];

/** `{lost: stage or reason, null where it was found, place?, score?, threshold?, most?}`; null for a sentence not known here. */
export function verdictOf({ expected }) {
  for (const [pattern, read] of VERDICTS) {
    const match = expected.match(pattern);
    if (match) return numbered(read(match));
  }
  return null;
}

function numbered({ lost, ...figures }) {
  return { lost, ...Object.fromEntries(Object.entries(figures).map(([name, value]) => [name, Number(value)])) };
}

/** `[{stage, kept, rows: [{place, name, text, score, meant, kept}], fate, place}]`; fate is kept, lost, or absent of what was expected. */
export function stagesOf(explanation, expect) {
  const verdict = verdictOf(explanation);
  return explanation.stages.map(({ stage, kept, lost }) => {
    const rows = [...kept.map((row) => ({ row, kept: true })), ...lost.map((row) => ({ row, kept: false }))].map(({ row, kept: stays }, at) => shown(row, stays, at + 1, expect));
    const found = rows.find((row) => row.meant) ?? null;
    return { stage, kept: kept.length, rows, ...fateAt(stage, verdict, found) };
  });
}

function shown(row, kept, place, expect) {
  const { document_id: document, source_document: name, text, score, start, end } = row;
  return { place, document, name, text, score, start, end, kept, meant: isMeant(row, expect) };
}

/** The verdict knows whole passages, the rows only their beginnings: it goes first where it speaks of this stage. */
function fateAt(stage, verdict, found) {
  const told = ["fusion", "threshold", "budget"].includes(stage) && verdict !== null && verdict.place !== undefined;
  if (!told) return { fate: found === null ? "absent" : found.kept ? "kept" : "lost", place: found?.place ?? null };
  if (stage === verdict.lost) return { fate: "lost", place: verdict.place };
  if (stage === "budget" && verdict.lost === "threshold") return { fate: "absent", place: null };
  return { fate: "kept", place: verdict.place };
}

function isMeant({ document_id: id, source_document: name, text }, expect) {
  return [id, name, name.split("/").at(-1)].includes(expect) || folded(text).includes(folded(expect));
}

function folded(text) {
  return text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase().split(/\s+/).filter(Boolean).join(" ");
}
