// Replyke's client as React Native runs it: there is no cookie, the token travels in the body, and without one nothing is
// asked.
import { equal, hold, loaded, opened, play, said, signOut } from "./told.mjs";

// By this alone the client tells where it is.
Object.defineProperty(globalThis, "navigator", { value: { product: "ReactNative" }, configurable: true });

async function app() {
  const core = await loaded();
  // React Native's own way is one that node does not have.
  core.axios.defaults.adapter = "fetch";
  let asked = 0;
  core.axios.interceptors.request.use((request) => {
    asked += 1;
    return request;
  });
  return {
    asked: () => asked,
    user: () => core.replykeStore.getState().auth.user,
    keep: (token) => core.replykeStore.dispatch(core.setRefreshToken(token)),
    refresh: () => core.replykeStore.dispatch(core.requestNewAccessTokenThunk({ projectId: "demo" })),
  };
}

async function signedIn() {
  const session = await opened();
  const running = await app();
  running.keep(session.refresh_token);
  return { ...running, session };
}

async function withoutToken() {
  const { asked, refresh } = await app();
  equal((await refresh()).payload, undefined, "the access token");
  equal(asked(), 0, "what is asked");
}

async function byBody() {
  const { refresh, user } = await signedIn();
  hold((await refresh()).payload && user().id === "demo", "an access token and the user", said.at(-1));
}

async function severalAtOnce() {
  const { refresh } = await signedIn();
  const answers = await Promise.all([refresh(), refresh(), refresh()]);
  const tokens = answers.filter(({ payload }) => payload?.split(".").length === 3);
  equal(tokens.length, 3, "how many of three get an access token");
}

async function signedOut() {
  const { refresh, session } = await signedIn();
  await signOut(session);
  const { payload } = await refresh();
  hold(payload?.includes("403"), "403", payload);
  hold(said.at(-1).includes("Refresh token not recognized."), "the product's words", said.at(-1));
}

await play("as React Native", {
  wide: {
    "without a token nothing is asked": withoutToken,
    "by body: an access token and the user": byBody,
    "three at once with one token all get an access token": severalAtOnce,
    "signed out: no access token, in the product's words": signedOut,
  },
});
