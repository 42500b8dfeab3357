//! Gates that have fallen so far behind that retention may overtake them: an input that
//! is accepted then may be gone before it is handled, and its publisher should wait.
//!
//! - `state`: which lanes of which gates to look at, and which are late: pure
//! - `task`: looks

pub mod state;
pub mod task;
