//! The walk that every refresh takes, and the rooms that it passes through.
//!
//! ```text
//! event ─► request.rs ─► limit ─► rotation ─► mint ─► response.rs ─► response
//!          Presented ─► Admitted ─► Rotated ─► TokenPair
//! ```
//!
//! Each type can be made only by the room before it, so that leaving out a step does not compile. The two ends belong
//! to a function, which knows its product and its status codes; this crate knows neither. It has no clock and no
//! randomness but what [`moment`] brings in at the edge, and decides nothing in the store: [`rotation::decide()`] is
//! one pure function over what the store reported.
//!
//! | room | what for |
//! |---|---|
//! | [`token`], [`keyring`] | the refresh token, proven without IO, and the keys |
//! | [`limit`] | rate buckets: in the store for proven tokens, in memory for the rest |
//! | [`rotation`] | the round trip, the decision, the seal |
//! | [`mint`] | access and refresh tokens |
//! | [`session`], [`directory`] | opening, listing and ending sessions; quotas |
//! | [`store`] | the port, its obligations, and DynamoDB behind it |
//! | [`wire`] | what all endpoints share of HTTP |
//! | [`aws`] | where AWS's services are reached |
//! | [`config`], [`log`], [`moment`], [`identity`] | settings, the log line, time and randomness, names |

pub mod aws;
pub mod boot;
pub mod config;
pub mod directory;
pub mod identity;
pub mod keyring;
pub mod limit;
pub mod log;
pub mod mint;
pub mod moment;
pub mod rotation;
pub mod session;
pub mod store;
pub mod token;
pub mod wire;

pub use limit::Admitted;
pub use mint::TokenPair;
pub use rotation::Rotated;
pub use token::Presented;
