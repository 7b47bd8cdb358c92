// The models there are, and what was chosen of them. Pure.

export const RETRIEVAL = ["auto", "off", "strict"];
// What may be set of an answer, with its range; a value left out is the model's own.
export const PARAMETERS = {
  temperature: { min: 0, max: 2, step: 0.1 },
  top_p: { min: 0.05, max: 1, step: 0.05 },
  max_tokens: { min: 1, max: 100_000, step: 1 },
  seed: { min: 0, max: 4_294_967_294, step: 1 },
};

export function startModels(choice = {}) {
  return { models: [], names: [], memory: null, away: false, choice: { model: null, retrieval: null, params: {}, ...choice } };
}

export function readModels(state, { models, names, memory }) {
  return { ...state, models, names, memory, away: false };
}

/** What the browser remembered; anything that does not fit any more is forgotten. */
export function readChoice(text) {
  try {
    const { model, retrieval, params } = JSON.parse(text ?? "{}");
    const kept = Object.entries(params ?? {}).filter(([name, value]) => isWithin(name, value));
    return {
      model: typeof model === "string" ? model : null,
      retrieval: RETRIEVAL.includes(retrieval) ? retrieval : null,
      params: Object.fromEntries(kept),
    };
  } catch {
    return {};
  }
}

export function isWithin(name, value) {
  const range = PARAMETERS[name];
  return range !== undefined && typeof value === "number" && value >= range.min && value <= range.max;
}

export function chosenParameters({ model, retrieval, params }) {
  return { ...(model ? { model } : {}), ...(retrieval ? { retrieval } : {}), ...params };
}

/** The model that answers as things are chosen: the one named, by its own name or another, or the default's. */
export function answering({ models, names, choice }) {
  const named = models.find(({ name }) => name === choice.model);
  const other = names.find(({ name }) => name === choice.model);
  return named ?? models.find(({ name }) => name === other?.model) ?? models.find((model) => model.default) ?? models[0] ?? null;
}
