//! NATS without Eddyline: publishes and reads as its client library does them.
//! Owns a connection of its own and a stream for what it writes.

use std::time::Duration;

use anyhow::Context as _;
use async_nats::jetstream::consumer::pull::OrderedConfig;
use async_nats::jetstream::stream::{Config, StorageType};
use async_nats::jetstream::{self, Context};
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::time::Instant;

use crate::pace::paced;

/// The stream that the yardsticks write to.
const STREAM: &str = "BARE";
/// Subjects that they write to.
const SUBJECTS: usize = 16;
/// Publishes that wait for their ack at a time: far more than the server needs to be
/// busy, fewer than the 5,000 at which the client library would wait itself.
const IN_FLIGHT: usize = 1_024;
/// How long an ack may take: a busy disk makes the yardstick slow, not wrong.
const ACK_TIMEOUT: Duration = Duration::from_secs(60);

/// A connection of the yardsticks' own.
#[derive(Clone)]
pub struct Bare {
    context: Context,
}

impl Bare {
    /// Connects and makes the stream.
    ///
    /// # Errors
    /// NATS refuses.
    pub async fn connect(url: &str) -> anyhow::Result<Self> {
        let mut context = jetstream::new(async_nats::connect(url).await?);
        context.set_timeout(ACK_TIMEOUT);
        let config = Config {
            name: STREAM.into(),
            subjects: vec!["bare.>".into()],
            storage: StorageType::File,
            allow_direct: true,
            ..Config::default()
        };
        context
            .create_stream(config)
            .await
            .context("the yardstick's stream")?;
        Ok(Self { context })
    }

    async fn publish(&self, n: usize, data: Bytes) -> anyhow::Result<()> {
        let ack = self
            .context
            .publish(format!("bare.{}", n % SUBJECTS), data)
            .await?;
        ack.await?;
        Ok(())
    }

    /// Publishes at a steady pace; how long each took to its ack, milliseconds.
    ///
    /// # Errors
    /// NATS refuses.
    pub async fn paced(
        &self,
        count: usize,
        pause: Duration,
        data: &Bytes,
    ) -> anyhow::Result<Vec<f64>> {
        paced(count, pause, |n| {
            let (bare, data) = (self.clone(), data.clone());
            async move { bare.publish(n, data).await }
        })
        .await
    }

    /// Publishes with many waiting for their acks; events per second.
    ///
    /// # Errors
    /// NATS refuses.
    pub async fn pipelined(&self, count: usize, data: &Bytes) -> anyhow::Result<f64> {
        let begun = Instant::now();
        let publishes = stream::iter(0..count).map(|n| self.publish(n, data.clone()));
        publishes
            .buffer_unordered(IN_FLIGHT)
            .try_collect::<Vec<()>>()
            .await?;
        Ok(count as f64 / begun.elapsed().as_secs_f64())
    }

    /// Reads a subject of any stream from its beginning with an ordered consumer;
    /// events per second, its creation included.
    ///
    /// # Errors
    /// NATS refuses, or the stream ends early.
    pub async fn ordered(&self, stream: &str, subject: &str, count: usize) -> anyhow::Result<f64> {
        let stream = self.context.get_stream(stream).await?;
        let begun = Instant::now();
        let config = OrderedConfig {
            filter_subject: subject.to_owned(),
            ..OrderedConfig::default()
        };
        let mut messages = stream.create_consumer(config).await?.messages().await?;
        for _ in 0..count {
            messages.next().await.context("the consumer ends early")??;
        }
        Ok(count as f64 / begun.elapsed().as_secs_f64())
    }

    /// How many messages a stream holds under a filter.
    ///
    /// # Errors
    /// NATS refuses.
    pub async fn stored(&self, stream: &str, filter: &str) -> anyhow::Result<usize> {
        let stream = self.context.get_stream(stream).await?;
        let info = stream.info_with_subjects(filter).await?;
        let counts: Vec<(String, usize)> = info.try_collect().await?;
        Ok(counts.iter().map(|(_, count)| count).sum())
    }
}
