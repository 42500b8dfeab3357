//! A page of the documentation whose commands are run as they stand there.

use std::path::Path;
use std::time::Duration;

use harness::wait;

use super::shell::Ended;

/// How the pages call the binary.
const PROGRAM: &str = "target/debug/eddyline ";
/// How long a token of a page's reader lasts.
pub const TTL: Duration = Duration::from_secs(600);

/// A page.
pub struct Page {
    text: &'static str,
    variables: Vec<(&'static str, String)>,
}

impl Page {
    /// A page of Markdown.
    pub fn new(text: &'static str) -> Self {
        Self {
            text,
            variables: Vec::new(),
        }
    }

    /// What its reader has in the shell.
    pub fn set(mut self, name: &'static str, value: &str) -> Self {
        self.variables.push((name, value.to_owned()));
        self
    }

    /// The commands of the binary in its blocks of shell, without its name.
    pub fn commands(&self) -> Vec<String> {
        let blocks = self.text.split("\n```sh\n").skip(1);
        let lines = blocks.flat_map(|block| block.split("\n```").next().unwrap_or("").lines());
        let commands = lines.filter_map(|line| line.strip_prefix(PROGRAM));
        commands.map(str::to_owned).collect()
    }

    /// Runs one of them to its end.
    pub async fn run(&self, program: &Path, command: &str) -> Ended {
        let mut run = tokio::process::Command::new(program);
        run.args(words(command))
            .envs(self.variables.iter().cloned());
        let output = wait::within(command, run.output()).await.unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ended {
            code: output.status.code().unwrap(),
            told: text(&output.stdout),
            errors: text(&output.stderr),
        }
    }
}

/// A line's words as a shell has them: single quotes keep one together.
fn words(line: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for (at, part) in line.split('\'').enumerate() {
        match at % 2 {
            0 => words.extend(part.split_whitespace().map(str::to_owned)),
            _ => words.push(part.to_owned()),
        }
    }
    words
}
