// A page of another origin that uses @replyke/core as its makers have it used, in jsdom: it keeps cookies and asks for leave
// across origins as a browser does, but has no rule about third parties' cookies.
import { createRequire } from "node:module";
import { join } from "node:path";

import { BASE, INSTALLED, ORIGIN, loaded } from "./told.mjs";

const { CookieJar, JSDOM, VirtualConsole } = createRequire(join(INSTALLED, "package.json"))("jsdom");
const COOKIE = "replyke-refresh-jwt";

// A browser's jar, with the cookie that the sign-in has set, or with none.
export async function jar(token) {
  const jar = new CookieJar();
  if (token) await jar.setCookie(`${COOKIE}=${token}; Path=/; HttpOnly`, BASE);
  return jar;
}

// Loads the page in the browser that has this jar, and returns it when the client has begun: it refreshes once by itself.
export async function page(jar) {
  const dom = new JSDOM("<div id=root></div>", { url: ORIGIN, cookieJar: jar, virtualConsole: new VirtualConsole() });
  become(dom.window);
  const core = await loaded();
  const root = core.createRoot(dom.window.document.getElementById("root"));
  const used = await new Promise((begun) => {
    root.render(core.createElement(core.ReplykeProvider, { projectId: "demo" }, core.createElement(component(core, begun))));
  });
  return {
    ...used,
    core,
    jar,
    auth: () => core.replykeStore.getState().auth,
    cookie: async () => (await jar.getCookies(BASE)).find(({ key }) => key === COOKIE)?.value,
  };
}

// The one page there is: the client takes the browser's things from the global object.
function become(window) {
  const things = ["document", "navigator", "XMLHttpRequest", "FormData"].map((name) => [name, window[name]]);
  for (const [name, value] of [["window", window], ...things])
    Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
}

// A component that hands on what the client's hooks give it, once the client has begun and its hooks' effects are done.
function component({ useAuth, useAxiosPrivate, useEffect, useUser }, begun) {
  return function Page() {
    const { loadingInitial, requestNewAccessToken, setRefreshToken } = useAuth();
    const [api, { user }] = [useAxiosPrivate(), useUser()];
    useEffect(() => {
      if (!loadingInitial) begun({ api, user, requestNewAccessToken, setRefreshToken });
    });
    return null;
  };
}
