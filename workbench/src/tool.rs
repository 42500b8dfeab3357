//! A tool of a language: started, listened to, ended with whoever waits for it.
//!
//! Owns the processes. Must not know what is built.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader, Lines};
use tokio::process::Command;

/// Lines of a failed tool that are kept for its error: the end says what was wrong.
const LINES_KEPT: usize = 200;

/// Why a tool did not do its work.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    /// It is not there.
    #[error("{tool} is missing: {advice}")]
    Missing {
        /// Its name.
        tool: String,
        /// What to install.
        advice: String,
    },
    /// It cannot be started or listened to.
    #[error("{tool} cannot be run")]
    Io {
        /// Its name.
        tool: String,
        /// What the system said.
        source: io::Error,
    },
    /// It says that it failed.
    #[error("{tool} has failed ({status})")]
    Failed {
        /// Its name.
        tool: String,
        /// How it ended.
        status: ExitStatus,
        /// The last lines that it wrote.
        lines: Vec<String>,
        /// Whether they are of its standard output, and so were not told yet.
        out: bool,
    },
}

/// One run of a tool.
#[derive(Debug, Clone)]
pub struct Tool {
    /// Its name, for people.
    pub name: String,
    /// What to install where it is missing.
    pub advice: String,
    /// The program: a name on the search path, or a path.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Variables of its environment, beside those of this process.
    pub environment: BTreeMap<String, String>,
}

impl Tool {
    /// A program on the search path.
    pub fn new(name: &str, advice: &str, arguments: &[&str]) -> Self {
        Self {
            name: name.to_owned(),
            advice: advice.to_owned(),
            program: PathBuf::from(name),
            arguments: arguments.iter().map(|text| (*text).to_owned()).collect(),
            environment: BTreeMap::new(),
        }
    }

    /// Runs it in a folder: returns the lines of its standard output; those of its
    /// standard error are told as they come. A dropped future ends the tool.
    ///
    /// # Errors
    /// [`ToolError`].
    pub async fn run(
        &self,
        folder: &Path,
        told: &mut (dyn FnMut(&str) + Send),
    ) -> Result<Vec<String>, ToolError> {
        let io = |source| ToolError::Io {
            tool: self.name.clone(),
            source,
        };
        let started = Command::new(&self.program)
            .args(&self.arguments)
            .envs(&self.environment)
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn();
        let mut child = started.map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => ToolError::Missing {
                tool: self.name.clone(),
                advice: self.advice.clone(),
            },
            _ => io(error),
        })?;
        let mut out = lines(child.stdout.take());
        let mut errors = lines(child.stderr.take());
        let (mut kept, mut last): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
        while out.is_some() || errors.is_some() {
            // Both branches are cancel safe: a line that has not come whole stays.
            tokio::select! {
                line = next(&mut out) => kept.extend(line.map_err(io)?),
                line = next(&mut errors) => {
                    let Some(line) = line.map_err(io)? else { continue };
                    told(&line);
                    if last.len() >= LINES_KEPT {
                        last.remove(0);
                    }
                    last.push(line);
                }
            }
        }
        let status = child.wait().await.map_err(io)?;
        if status.success() {
            return Ok(kept);
        }
        // Some tools say what is wrong on their standard output.
        let out = last.is_empty();
        if out {
            last = kept.split_off(kept.len().saturating_sub(LINES_KEPT));
        }
        Err(ToolError::Failed {
            tool: self.name.clone(),
            status,
            lines: last,
            out,
        })
    }
}

type Source<R> = Option<Lines<BufReader<R>>>;

fn lines<R: AsyncRead>(pipe: Option<R>) -> Source<R> {
    pipe.map(|pipe| BufReader::new(pipe).lines())
}

/// The next line; `None`, once, at the end, and then never again.
async fn next<R: AsyncRead + Unpin>(source: &mut Source<R>) -> io::Result<Option<String>> {
    let Some(lines) = source else {
        return std::future::pending().await;
    };
    let line = lines.next_line().await;
    if !matches!(line, Ok(Some(_))) {
        *source = None;
    }
    match line {
        // A tool that writes no UTF-8 costs its line, not the build.
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Ok(None),
        line => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn run(tool: &Tool) -> (Result<Vec<String>, ToolError>, Vec<String>) {
        let mut told = Vec::new();
        let mut tell = |line: &str| told.push(line.to_owned());
        let result = tool.run(Path::new("/"), &mut tell).await;
        (result, told)
    }

    #[tokio::test]
    async fn lines_come_from_both_pipes() {
        let script = "echo a; echo b >&2; echo c; pwd";
        let (result, told) = run(&Tool::new("sh", "", &["-c", script])).await;
        assert_eq!(result.unwrap(), ["a", "c", "/"]);
        assert_eq!(told, ["b"]);
    }

    #[tokio::test]
    async fn what_fails_says_why() {
        let (result, _) = run(&Tool::new("sh", "", &["-c", "echo why >&2; exit 3"])).await;
        let Err(ToolError::Failed { lines, status, .. }) = result else {
            panic!("{result:?}");
        };
        assert_eq!((lines, status.code()), (vec!["why".to_owned()], Some(3)));
        let advice = "install it";
        let (result, _) = run(&Tool::new("no-such-tool", advice, &[])).await;
        let said = result.unwrap_err().to_string();
        assert_eq!(said, "no-such-tool is missing: install it");
    }
}
