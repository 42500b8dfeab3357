//! The one thread that starts child processes. Linux ties a child's life to the
//! thread that forked it, so no short-lived test or worker thread may do so.
//! Owns the queue of requests; knows nothing of what it starts.

use std::io;
use std::process::{Child, Command};
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use crate::sys;

/// Requests waiting for the thread; callers beyond it block, and a start takes
/// about a millisecond.
const QUEUE_ITEMS: usize = 16;

struct Request {
    command: Command,
    reply: SyncSender<io::Result<Child>>,
}

/// Starts a child that is killed when this process ends, however it ends.
///
/// Takes the command by value: pipes given to it close on our side at once.
pub(crate) fn spawn(mut command: Command) -> io::Result<Child> {
    static SPAWNER: OnceLock<SyncSender<Request>> = OnceLock::new();

    sys::die_with_parent(&mut command);
    let (reply, answer) = sync_channel(1);
    let gone = || io::Error::other("the thread that starts processes has ended");
    SPAWNER
        .get_or_init(start_thread)
        .send(Request { command, reply })
        .map_err(|_| gone())?;
    answer.recv().map_err(|_| gone())?
}

fn start_thread() -> SyncSender<Request> {
    let (sender, requests) = sync_channel(QUEUE_ITEMS);
    // If the thread cannot start, its receiver is dropped and every request
    // ends in an error.
    let started = std::thread::Builder::new()
        .name("devstack-spawner".to_owned())
        .spawn(move || serve(&requests));
    if let Err(error) = started {
        tracing::error!(%error, "cannot start the thread that starts processes");
    }
    sender
}

fn serve(requests: &Receiver<Request>) {
    while let Ok(Request { mut command, reply }) = requests.recv() {
        let outcome = command.spawn();
        drop(command);
        if let Err(unclaimed) = reply.send(outcome) {
            // The caller has gone; its child must not stay.
            if let Ok(mut child) = unclaimed.0 {
                let _ = child.kill();
                let _ = child.wait();
            }
        }
    }
}
