//! One process's connection to a model.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::Stream;
use serde_json::{Map, Value};
use tokio::sync::watch;

use crate::details::StreamDetails;
use crate::error::BusError;
use crate::following::{ReaderOptions, Start};
use crate::incoming::Incoming;
use protocol::bus::{BatchAck, Outgoing, PubAck, Stored, StreamState};
use protocol::stream::StreamName;
use protocol::subject::Subject;

#[derive(Debug, Clone)]
pub struct Connection {
    c: watch::Receiver<bool>,
    n: watch::Receiver<u64>,
}
pub struct Reader;
#[derive(Debug)]
pub struct Subscription;
pub struct PendingAck;
pub struct Run {
    pub events: Vec<Stored>,
    pub pending: u64,
}
type R<T> = Result<T, BusError>;
const NO: BusError = BusError::NoStream;
impl Connection {
    pub fn connected(&self) -> watch::Receiver<bool> {
        self.c.clone()
    }
    pub fn connects(&self) -> watch::Receiver<u64> {
        self.n.clone()
    }
    pub async fn drain(&self) {}
    pub fn max_payload(&self) -> usize {
        1 << 20
    }
    pub async fn subscribe(&self, _: &Subject) -> R<Subscription> {
        Err(NO)
    }
    pub async fn publish_core(&self, _: Outgoing) -> R<()> {
        Err(NO)
    }
    pub async fn flush(&self) -> R<()> {
        Err(NO)
    }
    pub async fn publish_start(&self, _: Outgoing) -> R<PendingAck> {
        Err(NO)
    }
    pub async fn commit_batch(&self, _: Vec<Outgoing>) -> R<BatchAck> {
        Err(NO)
    }
    pub async fn get(&self, _: &StreamName, _: u64) -> R<Option<Stored>> {
        Err(NO)
    }
    pub async fn from_time(&self, _: &StreamName, _: &Subject, _: u64) -> R<Option<u64>> {
        Err(NO)
    }
    pub async fn stream_state(&self, _: &StreamName) -> R<StreamState> {
        Err(NO)
    }
    pub async fn last_seqs(&self, _: &StreamName, _: &[Subject]) -> R<Vec<(String, u64)>> {
        Err(NO)
    }
    pub async fn describe(&self, _: &str) -> R<StreamDetails> {
        Err(NO)
    }
    pub async fn create_stream(&self, _: &str, _: &Map<String, Value>) -> R<StreamDetails> {
        Err(NO)
    }
    pub async fn leader_last(&self, _: &str, _: &str) -> R<Option<Stored>> {
        Err(NO)
    }
    pub async fn leader_next(&self, _: &str, _: &str, _: u64) -> R<Option<Stored>> {
        Err(NO)
    }
    pub async fn next_run(&self, _: &str, _: &str, _: u64, _: usize, _: usize) -> R<Run> {
        Err(NO)
    }
    pub async fn write(
        &self,
        _: String,
        _: Option<(&'static str, &'static str)>,
        _: Bytes,
        _: Option<u64>,
    ) -> R<u64> {
        Err(NO)
    }
    pub async fn put_object(&self, _: &str, _: &str, _: &Bytes) -> R<()> {
        Err(NO)
    }
    pub async fn get_object(&self, _: &str, _: &str, _: usize) -> R<Bytes> {
        Err(NO)
    }
    pub async fn reader(
        &self,
        _: &str,
        _: Option<String>,
        _: Start,
        _: ReaderOptions,
    ) -> R<Reader> {
        Err(NO)
    }
}
impl Reader {
    pub fn pending(&self) -> u64 {
        0
    }
    pub fn last_seq(&self) -> u64 {
        0
    }
    pub async fn next_batch(&mut self) -> R<Vec<Stored>> {
        Err(NO)
    }
}
impl Stream for Subscription {
    type Item = Incoming;
    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Incoming>> {
        Poll::Ready(None)
    }
}
impl Future for PendingAck {
    type Output = R<PubAck>;
    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<R<PubAck>> {
        Poll::Ready(Err(NO))
    }
}
