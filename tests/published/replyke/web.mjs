// Replyke's client in a page: it sends the cookie and the token in its store, keeps whatever token it had on any error, and
// has the calls that the product's API refuses with 403 wait for a refresh, each for its own.
import { createServer } from "node:http";
import { once } from "node:events";

import { jar, page } from "./page.mjs";
import { ORIGIN, equal, forged, hold, opened, play, said, signOut, store, theWindowPasses } from "./told.mjs";

const signedInByCookie = async () => page(await jar((await opened()).refresh_token));
const atOnce = (count, what) => Promise.all(Array.from({ length: count }, (_, n) => what(n)));

// A page whose jar has nothing, with the sign-in's token in the client's store.
async function signedInByBody() {
  const { refresh_token: token } = await opened();
  const tab = await page(await jar());
  tab.setRefreshToken(token);
  return { ...tab, token };
}

function isSignedIn({ auth }) {
  hold(auth().accessToken && auth().user?.id === "demo", "an access token and the user", said.at(-1));
}

function isSignedOut({ auth }) {
  hold(auth().initialized && auth().accessToken === null && auth().user === null, "no access token, no user", said.at(-1));
}

async function refreshes({ requestNewAccessToken, auth }) {
  const access = await requestNewAccessToken();
  hold(access && auth().accessToken === access, "an access token, which the client keeps", said.at(-1));
  isSignedIn({ auth });
}

// It gets none, for this reason of the product's, and is as it was before.
async function isRefused({ requestNewAccessToken, auth }, why) {
  const before = auth();
  equal(await requestNewAccessToken(), undefined, "no access token");
  hold(said.at(-1).includes(why), `what the client says: ${why}`, said.at(-1));
  hold(auth().accessToken === before.accessToken && auth().user === before.user, "it stays as it is", "it does not");
}

async function nobody() {
  const before = said.length;
  isSignedOut(await page(await jar()));
  const errors = said.slice(before).filter((words) => words.includes("token"));
  hold(errors.length === 0, "no error about tokens", errors.join("; "));
}

async function byBody() {
  const tab = await signedInByBody();
  for (let n = 0; n < 2; n++) await refreshes(tab);
  hold(tab.auth().refreshToken === tab.token, "the client keeps its refresh token", "another one, or none");
  equal(await tab.cookie(), undefined, "cookies that are set");
}

async function byCookie() {
  const session = await opened();
  const tab = await page(await jar(session.refresh_token));
  isSignedIn(tab);
  await refreshes(tab);
  hold((await tab.cookie()) === session.refresh_token, "the cookie is as it was", "another one, or none");
}

async function severalAtOnce() {
  for (const tab of [await signedInByBody(), await signedInByCookie()]) {
    const tokens = await atOnce(4, () => tab.requestNewAccessToken());
    equal(tokens.filter(Boolean).length, 4, "how many of four get an access token");
  }
}

async function cookieFirst() {
  const tab = await signedInByCookie();
  tab.setRefreshToken(forged((await opened()).refresh_token));
  await refreshes(tab);
}

async function wholeUser() {
  const tab = await signedInByCookie();
  isSignedIn(tab);
  const { metadata, reputation, suspensions } = tab.user;
  const whole = metadata && typeof reputation === "number" && Array.isArray(suspensions);
  hold(whole, "metadata, reputation, suspensions", Object.keys(tab.user));
}

async function forgedToken() {
  const tab = await signedInByBody();
  await refreshes(tab);
  tab.setRefreshToken(forged(tab.token));
  await isRefused(tab, "Invalid or expired refresh token. - invalid signature");
}

async function interceptor() {
  const tab = await signedInByCookie();
  const server = await apiThatRefusesFirst();
  tab.core.axiosPrivate.defaults.baseURL = `http://127.0.0.1:${server.address().port}`;
  const answers = await atOnce(5, (n) => tab.api.get(`/things/${n}`));
  server.close();
  equal(answers.map(({ status }) => status).join(), "200,200,200,200,200", "what five calls get in the end");
  const borne = answers.filter(({ data }) => /^Bearer [\w-]+\.[\w-]+\.[\w-]+$/.test(data));
  equal(borne.length, 5, "how many of them bear an access token");
}

// An API of the product's, for which each call's access token is over until it is asked again; it says what it was sent.
async function apiThatRefusesFirst() {
  const headers = {
    "Access-Control-Allow-Origin": ORIGIN,
    "Access-Control-Allow-Credentials": "true",
    "Access-Control-Allow-Headers": "authorization, content-type",
  };
  const asked = new Set();
  const server = createServer(({ method, url, headers: { authorization } }, response) => {
    if (method === "OPTIONS") return response.writeHead(204, headers).end();
    response.writeHead(asked.has(url) ? 200 : 403, headers).end(authorization);
    asked.add(url);
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  return server;
}

async function signedOut() {
  const session = await opened();
  const tab = await page(await jar(session.refresh_token));
  await signOut(session);
  await isRefused(tab, "Refresh token not recognized.");
  isSignedOut(await page(tab.jar));
}

async function storeDown() {
  const tab = await signedInByCookie();
  const before = await tab.cookie();
  await store("refuse", async () => {
    await isRefused(tab, "Internal server error");
    isSignedOut(await page(tab.jar));
  });
  hold((await tab.cookie()) === before, "the cookie is kept", "another one, or none");
  isSignedIn(await page(tab.jar));
}

async function limited() {
  const tab = await signedInByCookie();
  let passed = 0;
  while (passed < 100 && (await tab.requestNewAccessToken())) passed += 1;
  hold(passed < 100, "a limit", `${passed} refreshes`);
  await isRefused(tab, "Request new access token error:");
  isSignedIn(tab);
}

async function rotation() {
  const session = await opened();
  const tab = await page(await jar(session.refresh_token));
  isSignedIn(tab);
  hold(![undefined, session.refresh_token].includes(await tab.cookie()), "the cookie is rotated", "the same one, or none");
  const tokens = await atOnce(4, () => tab.requestNewAccessToken());
  equal(tokens.filter(Boolean).length, 4, "how many of four get an access token");
  tab.setRefreshToken(session.refresh_token);
  await theWindowPasses();
  await refreshes(tab);
  isSignedIn(await page(tab.jar));
}

async function noRotation() {
  const tab = await signedInByBody();
  await refreshes(tab);
  await theWindowPasses();
  await refreshes(tab);
  equal(await tab.cookie(), undefined, "cookies that are set");
}

await play("in a page", {
  wide: {
    "nobody is signed in: no token, no user, and no error": nobody,
    "by body: an access token and the user, again and again with the same token": byBody,
    "by cookie: as the page is loaded, and afterwards; the cookie stays": byCookie,
    "four at once with one token all get an access token": severalAtOnce,
    "the cookie counts before the token in the body": cookieFirst,
    "the user is whole": wholeUser,
    "a forged token gets none, in the product's words, and the client stays as it is": forgedToken,
    "five calls whose access token is over refresh and go on": interceptor,
    "signed out: no access token, and nobody when the page is loaded again": signedOut,
    "a store that is down is an error of theirs, and costs nobody the cookie": storeDown,
  },
  tight: { "a limit: no access token, and the client stays as it is": limited },
  rotating: {
    "cookies rotate, and go on after the window, whatever token is in the body": rotation,
    "a browser that keeps no cookie: its token does not rotate, and works after the window": noRotation,
  },
});
