//! A subscription that passed every check, ready to be made. Plain data.

use protocol::frame::Start;
use protocol::name::{Channel, Tenant};

use super::directory::Place;
use super::presence::seat::Seating;
use super::wants::Wants;

/// A subscription that is to be made.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// The command.
    pub command: u64,
    /// The subscription's number.
    pub id: u64,
    /// The tenant.
    pub tenant: Tenant,
    /// The channel.
    pub channel: Channel,
    /// Where the channel lives.
    pub place: Place,
    /// Where to start.
    pub start: Start,
    /// What it wants of the channel's events.
    pub wants: Wants,
    /// How many events it may be sent before more are granted.
    pub credit: Option<u64>,
    /// Its session is a member of the channel, where that tells who is on it.
    pub seating: Option<Box<Seating>>,
}
