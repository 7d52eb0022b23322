//! Where a store's table is reached.

/// Where the table is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// An emulator on this machine: plain HTTP, made-up credentials.
    Local {
        /// `http://127.0.0.1:<port>`
        url: String,
    },
    /// The service, as a Lambda function reaches it: region and credentials from its environment variables, without
    /// the default chain, which costs a cold start 1 to 1.5 ms of CPU time.
    Function,
    /// The service, as a person reaches it: profile, SSO and all that the default chain knows.
    Person,
}

impl Endpoint {
    /// The local endpoint at `url`, if it is on this machine's loopback.
    #[must_use]
    pub fn local(url: &str) -> Option<Self> {
        let authority = url.strip_prefix("http://")?.trim_end_matches('/');
        let (host, port) = authority.rsplit_once(':')?;
        let loopback = matches!(host, "127.0.0.1" | "localhost" | "[::1]");
        (loopback && port.parse::<u16>().is_ok()).then(|| Self::Local { url: url.to_owned() })
    }
}
