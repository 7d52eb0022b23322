//! The world that tests run in: a real DynamoDB API on this machine, the real functions over the real SDK, a clock that
//! is a value, and faults below the SDK's retries.

pub mod captured;
pub mod dynamo;
pub mod faults;
pub mod gateway;
pub mod products;
pub mod runtime;
pub mod secrets;
pub mod world;

pub use captured::{CAPTURED, Captured, Sent};
pub use dynamo::LocalDynamo;
pub use faults::{Fault, Faults, Gate};
pub use gateway::Gateway;
pub use runtime::Runtime;
pub use world::{Answer, T0, World, secs};
