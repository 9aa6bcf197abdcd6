// What the tests of number fields share: the forms that are typed, and what a field must make of each.

import assert from "node:assert/strict";

export const U64 = 2n ** 64n - 1n;

/** What is typed, and the number and the integer that it stands for. */
const forms = [
  { text: "0.5", number: 0.5 },
  { text: ".5", number: 0.5 },
  { text: "3e-4", number: 3e-4 },
  { text: "1e3", number: 1000, integer: 1000n },
  { text: "1_000", number: 1000, integer: 1000n },
  { text: "1,5", says: "Use a point as the decimal separator: 1.5, not 1,5." },
  { text: "1.000,5", says: "Use a point as the decimal separator: 1000.5, not 1.000,5." },
  { text: "" },
  { text: " 7 ", number: 7, integer: 7n },
  { text: "+3", number: 3, integer: 3n },
  { text: "-1", number: -1, integer: -1n },
  { text: "NaN" },
  { text: "inf" },
  { text: "1e400" },
  { text: "0x10" },
  { text: String(U64), number: Number(U64), integer: U64 },
  { text: "1e-400" },
];

/** Of these, one of each kind that a field must tell apart: a fraction, an integer, a refused one, none, and one too large. */
const fewForms = forms.filter(({ text }) => ["3e-4", "1_000", "1,5", "", String(U64)].includes(text));

/** The values that a field accepts. */
export const integer = (min, max = U64) => ({ min: BigInt(min), max: BigInt(max) });
export const number = (min, max) => ({ min, max, isNumber: true });

/** The value of a text in a field; undefined where it is refused. */
function valueOf({ number, integer }, values) {
  const value = values.isNumber ? number : integer;
  return value !== undefined && values.min <= value && value <= values.max ? value : undefined;
}

/** JSON whose integers above 2⁵³ become strings with all digits. */
export const exactJson = (text) => JSON.parse(text.replace(/([:[,]\s*)(\d{16,})(?=\s*[,}\]])/g, '$1"$2"'));

/** Whether a number of such JSON is a value. */
export function isSame(read, value) {
  if (read === undefined || read === null) return false;
  return typeof value === "bigint" ? BigInt(read) === value : Number(read) === value;
}

/** Types a text key by key, or enters it at once, and compares what the field shows. */
export async function type(field, text, isKeyed = true) {
  await field.fill(isKeyed ? "" : text);
  if (isKeyed && text) await field.pressSequentially(text);
  assert.equal(await field.inputValue(), text, "what is typed stays as it is");
}

/** What the field says below itself. */
export const said = (field) => field.locator("xpath=following-sibling::*[@role='alert'][1]").innerText();

/** Texts of a message that would be types of Rust. */
const types = /\b(u8|u16|u32|u64|usize|i64|f32|f64|bool|string|struct|enum|variant)\b/;

/** The number fields of a page. */
export class NumberFields {
  constructor(lab, page) {
    Object.assign(this, { lab, page });
  }

  /** Sends a request to the API; integers of the answer are exact. */
  async api(path, body) {
    const headers = { authorization: `Bearer ${this.lab.tokens.get("admin")}`, "content-type": "application/json" };
    const answer = await fetch(`${this.lab.url}/api/v1${path}`, { headers, ...(body && { method: "POST", body }) });
    const text = await answer.text();
    assert.ok(answer.ok, `${path}: ${answer.status} ${text}`);
    return exactJson(text);
  }

  /** Waits for what the page does at once, or after a command. */
  soon(what, look) {
    return this.lab.until(what, look);
  }

  /**
   * Types every form into a field, key by key; or enters few of them at once if `isKeyed` is false. A refused one is said to be
   * so in words, and disables the button. For an accepted one, `send` presses the button and returns what was sent and what was
   * stored; it returns nothing where the form cannot be sent for another reason.
   */
  async check(name, field, values, { button, isOptional = false, isKeyed = true, send }) {
    let sentForms = 0;
    for (const form of isKeyed ? forms : fewForms) {
      const place = `${name}, ${JSON.stringify(form.text)}`;
      await type(field, form.text, isKeyed);
      const value = valueOf(form, values);
      const isEmpty = form.text === "";
      if (isEmpty && isOptional) {
        await this.soon(`${place} is accepted`, async () => (await said(field)) === "");
        continue;
      }
      if (value === undefined) {
        await this.soon(`${place} is refused`, async () => (await said(field)) !== "");
        const message = await said(field);
        assert.match(message, form.says ? /^Use a point as the decimal separator/ : /Enter a (whole )?number/, place);
        if (form.says) assert.equal(message, form.says, place);
        assert.doesNotMatch(message, types, place);
        assert.equal(await field.getAttribute("aria-invalid"), "true", place);
        await this.soon(`${place} disables the button`, () => button().isDisabled());
        continue;
      }
      await this.soon(`${place} is accepted`, async () => (await said(field)) === "");
      const done = send && (await send(value, form));
      if (!done) continue;
      sentForms += 1;
      for (const [what, read] of Object.entries(done)) {
        assert.ok(isSame(read, value), `${place}: ${what} is ${read}`);
      }
    }
    return sentForms;
  }

  /** Presses a button and returns the request that it sends. */
  async press(button, path) {
    const isIt = (request) => request.method() === "POST" && new URL(request.url()).pathname.endsWith(path);
    const [request] = await Promise.all([this.page.waitForRequest(isIt), button.click()]);
    return request;
  }
}
