// What both programs have in common: scenes, which are told to run.py as lines of JSON on standard output; faults; time; a
// backend, which opens and ends sessions; and the client's bundle, loaded anew for each client.
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { setTimeout as passed } from "node:timers/promises";
import { pathToFileURL } from "node:url";

export const { URL: BASE, ORIGIN, INSTALLED } = process.env;
const { STACK, GRACE_SECS } = process.env;
const TENANT = "replyke:demo";

// The client tells its errors here.
export const said = [];
console.log = console.warn = console.error = (...words) => said.push(words.join(" "));

class Difference extends Error {
  constructor(expected, got) {
    super(expected);
    Object.assign(this, { expected, got: String(got) });
  }
}

// What is expected, in the contract's words, has to hold; `got` is shown where it does not.
export function hold(holds, expected, got) {
  if (!holds) throw new Difference(expected, got);
}

export function equal(got, wanted, expected) {
  hold(got === wanted, `${expected}: ${wanted}`, got);
}

const tell = (message) => process.stdout.write(`${JSON.stringify(message)}\n`);

async function difference(scene) {
  try {
    await scene();
    return null;
  } catch (error) {
    if (error instanceof Difference) return [error.expected, error.got];
    // An error of the harness itself counts too: nothing was shown.
    return ["the scene ends", error.stack];
  }
}

// Plays this stack's scenes, one after another, and ends: jsdom keeps connections open.
export async function play(how, stacks) {
  const { version } = JSON.parse(readFileSync(join(INSTALLED, "node_modules/@replyke/core/package.json")));
  for (const [scene, played] of Object.entries(stacks[STACK]))
    tell({ client: `@replyke/core ${version}, ${how}`, scene, difference: await difference(played) });
  process.exit();
}

// While the store has this fault: run.py plays it, and answers when it does.
export async function store(fault, during) {
  const playing = async (fault) => {
    tell({ fault });
    await once(process.stdin, "data");
  };
  await playing(fault);
  try {
    await during();
  } finally {
    await playing("pass");
  }
}

// The functions are other processes, whose clocks nothing but time moves on: the one wait of these programs.
export const theWindowPasses = () => passed((Number(GRACE_SECS) + 0.5) * 1000);

async function sent(method, path, body) {
  const options = { method, headers: { "Content-Type": "application/json" }, body: body && JSON.stringify(body) };
  const answer = await fetch(BASE + path, options);
  hold(answer.ok, `${method} of a session succeeds`, answer.status);
  return answer.json();
}

// A new session, as the product's sign-in would have it opened; and what the sign-out has the backend do.
export const opened = () => sent("POST", "/sessions", { tenant: TENANT, user: "demo", client_token: randomUUID() });
export const signOut = ({ session }) => sent("DELETE", `/sessions/${session.family}?tenant=${TENANT}&user=demo`);

// The same token with another signature.
export function forged(token) {
  const at = token.lastIndexOf(".") + 1;
  return `${token.slice(0, at)}${token[at] === "A" ? "B" : "A"}${token.slice(at + 1)}`;
}

// The client as a program that starts now has it: knowing nothing.
let loads = 0;
export async function loaded() {
  const core = await import(`${pathToFileURL(join(INSTALLED, "core.mjs"))}?${++loads}`);
  core.axios.defaults.baseURL = `${BASE}/api/v6`;
  return core;
}
