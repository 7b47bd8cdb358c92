// An answer's metadata as the page can show it. A conversation may have been imported: what is not as our server writes it is
// left out. Pure.

const MOST_CITATIONS = 2000; // no answer has more sentences, and each gets a mark

/** Null for what is no metadata at all. */
export function readMetadata(given) {
  if (!isObject(given)) return null;
  const fit = Object.entries(given).filter(([name, value]) => !Object.hasOwn(FITS, name) || FITS[name](value));
  const { citations, ...read } = Object.fromEntries(fit);
  return citations === undefined ? read : { ...read, citations: citations.slice(0, MOST_CITATIONS) };
}

const FITS = {
  source: oneOf("llm", "rag", "cache"),
  model_used: isText,
  processing_time_ms: Number.isFinite,
  tokens: fields({ completion: Number.isFinite }),
  finish_reason: isText,
  messages_omitted: Number.isFinite,
  thoughts: isText,
  confidence: (value) => value === null || isConfidence(value),
  sources: listOf(isPassage),
  sources_omitted: listOf(isPassage),
  citations: listOf(isCitation),
};

function isConfidence(value) {
  const causes = optional(listOf(fields({ code: isText, value: optional(orNull(Number.isFinite)) })));
  return fields({ level: oneOf("high", "medium", "low"), reasons: listOf(isText), causes })(value);
}

function isPassage(value) {
  const texts = { document_id: isText, source_document: isText, heading: isText, text: isText };
  const numbers = { n: orNull(Number.isFinite), page: orNull(Number.isFinite), start: isPlace, end: isPlace, score: Number.isFinite };
  return fields({ ...texts, ...numbers })(value);
}

function isCitation(value) {
  const verdict = oneOf("supported", "partial", "unsupported", "contradicted");
  const document = { document_id: orNull(isText), source_document: orNull(isText), version: orNull(isText), text: orNull(isText) };
  return fields({ sentence: isSpan, verdict, span: orNull(isSpan), ...document })(value) && (value.span === null || value.document_id !== null);
}

function isSpan(value) {
  return Array.isArray(value) && value.length === 2 && value.every(isPlace) && value[0] <= value[1];
}

function isPlace(value) {
  return Number.isSafeInteger(value) && value >= 0;
}

function isText(value) {
  return typeof value === "string";
}

function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

// Ways to put these together

function oneOf(...values) {
  return (value) => values.includes(value);
}

function orNull(fits) {
  return (value) => value === null || fits(value);
}

function optional(fits) {
  return (value) => value === undefined || fits(value);
}

function listOf(fits) {
  return (value) => Array.isArray(value) && value.every((each) => fits(each));
}

function fields(fits) {
  return (value) => isObject(value) && Object.entries(fits).every(([name, fit]) => fit(value[name]));
}
