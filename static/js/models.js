// Which model is asked and how: read from the server, chosen by the person, remembered by the browser.

import { chosenParameters, readChoice, readModels, startModels } from "./state/models.js";

export class Models {
  constructor({ server, memory }) {
    this.server = server;
    this.memory = memory;
    this.state = startModels(readChoice(memory.get("choice")));
  }

  /** Ask the server what there is. While it is away, what was known stays. */
  async look() {
    try {
      this.state = readModels(this.state, await this.server.get("/api/models"));
    } catch {
      this.state = { ...this.state, away: true };
    }
    return this.state;
  }

  choose(choice) {
    this.state = { ...this.state, choice: { ...this.state.choice, ...choice } };
    this.memory.set("choice", JSON.stringify(this.state.choice));
  }

  /** What goes into a question. */
  get parameters() {
    return chosenParameters(this.state.choice);
  }
}
