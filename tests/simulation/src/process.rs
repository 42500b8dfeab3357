//! A process that can die or stand still between any two turns of its task.
//!
//! Owns the task. Whoever dies drops everything at once, without a last word; whoever
//! stands still misses its timers and finds on waking what has come meanwhile.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::task::JoinHandle;
use tokio::time::{Instant, Sleep, sleep_until};

#[derive(Debug, Default)]
struct Control {
    /// Turns left until it dies.
    turns_left: Option<u32>,
    asleep_until: Option<Instant>,
    waker: Option<Waker>,
}

/// A handle on a process. Dropped, the process goes on.
#[derive(Debug)]
pub struct Process {
    control: Arc<Mutex<Control>>,
    task: JoinHandle<()>,
}

struct Running<F> {
    control: Arc<Mutex<Control>>,
    alarm: Option<Pin<Box<Sleep>>>,
    work: Option<Pin<Box<F>>>,
}

impl<F: Future<Output = ()>> Future for Running<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let asleep = {
            let mut control = self.control.lock();
            control.waker = Some(cx.waker().clone());
            match &mut control.turns_left {
                Some(0) => {
                    drop(control);
                    self.work = None;
                    return Poll::Ready(());
                }
                Some(left) => *left -= 1,
                None => {}
            }
            let asleep = control.asleep_until.filter(|until| *until > Instant::now());
            control.asleep_until = asleep;
            asleep
        };
        if let Some(until) = asleep {
            let mut alarm = Box::pin(sleep_until(until));
            if alarm.as_mut().poll(cx).is_pending() {
                self.alarm = Some(alarm);
                return Poll::Pending;
            }
        }
        self.alarm = None;
        match &mut self.work {
            Some(work) => work.as_mut().poll(cx),
            None => Poll::Ready(()),
        }
    }
}

impl Process {
    /// Starts one.
    pub fn start(work: impl Future<Output = ()> + Send + 'static) -> Self {
        let control = Arc::new(Mutex::new(Control::default()));
        let task = tokio::spawn(Running {
            control: control.clone(),
            alarm: None,
            work: Some(Box::pin(work)),
        });
        Self { control, task }
    }

    /// It dies after so many more turns.
    pub fn crash(&self, turns: u32) {
        self.change(|control| control.turns_left = Some(turns));
    }

    /// It does not die after all, if it has not yet.
    pub fn spare(&self) {
        self.change(|control| control.turns_left = None);
    }

    /// It stands still.
    pub fn sleep(&self, lasts: Duration) {
        self.change(|control| control.asleep_until = Some(Instant::now() + lasts));
    }

    /// Whether it has died or ended.
    pub fn is_over(&self) -> bool {
        self.task.is_finished()
    }

    fn change(&self, change: impl FnOnce(&mut Control)) {
        let mut control = self.control.lock();
        change(&mut control);
        if let Some(waker) = control.waker.take() {
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    fn ticking() -> (Process, Arc<AtomicU32>) {
        let ticks = Arc::new(AtomicU32::new(0));
        let counter = ticks.clone();
        let process = Process::start(async move {
            loop {
                tokio::time::sleep(Duration::from_millis(1)).await;
                counter.fetch_add(1, Ordering::Relaxed);
            }
        });
        (process, ticks)
    }

    #[tokio::test(start_paused = true)]
    async fn a_process_stands_still_and_goes_on_and_dies() {
        let (process, ticks) = ticking();
        tokio::time::sleep(Duration::from_millis(10)).await;
        process.sleep(Duration::from_millis(100));
        tokio::task::yield_now().await;
        let before = ticks.load(Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(90)).await;
        assert_eq!(ticks.load(Ordering::Relaxed), before);
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(ticks.load(Ordering::Relaxed) > before + 50);
        process.crash(3);
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(process.is_over());
    }
}
