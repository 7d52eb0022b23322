// What of @replyke/core, and of React, is driven. It is made for bundlers: node alone cannot load it.
export { ReplykeProvider, useAuth, useUser } from "@replyke/core";
export { default as useAxiosPrivate } from "@replyke/core/dist/esm/config/useAxiosPrivate.js";
export { default as axios, axiosPrivate } from "@replyke/core/dist/esm/config/axios.js";
export { replykeStore } from "@replyke/core/dist/esm/store/index.js";
export { requestNewAccessTokenThunk } from "@replyke/core/dist/esm/store/slices/authThunks.js";
export { setRefreshToken } from "@replyke/core/dist/esm/store/slices/authSlice.js";
export { createElement, useEffect } from "react";
export { createRoot } from "react-dom/client";
