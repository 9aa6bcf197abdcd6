//! Evaluators: programs of this machine that score exported checkpoints. Only whoever starts the server names them, so no token reaches a
//! program that was not meant for it.

use std::path::PathBuf;
use std::str::FromStr;

use wire::ParseError;
use wire::task::lab::TaskInfo;
use wire::task::{TaskKind, TaskName};

/// A program that gets the folder of an exported checkpoint and prints values as JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evaluator {
    /// The task that it stands for.
    pub name: TaskName,
    pub program: PathBuf,
}

/// A text that is not NAME=PROGRAM.
#[derive(Debug, thiserror::Error)]
pub enum EvaluatorError {
    #[error("expected NAME=PROGRAM, such as my-test=/opt/my-test.sh")]
    NoProgram,
    #[error(transparent)]
    Name(#[from] ParseError),
    #[error("the path of the program cannot be resolved: {0}")]
    Path(#[from] std::io::Error),
}

impl FromStr for Evaluator {
    type Err = EvaluatorError;

    fn from_str(text: &str) -> Result<Self, EvaluatorError> {
        let parts = text.split_once('=').filter(|(_, program)| !program.is_empty());
        let (name, program) = parts.ok_or(EvaluatorError::NoProgram)?;
        Ok(Self { name: name.parse()?, program: std::path::absolute(program)? })
    }
}

impl Evaluator {
    /// Its task as lists show it.
    pub fn info(&self) -> TaskInfo {
        let file = self.program.file_name().unwrap_or_default().to_string_lossy();
        let about =
            format!("The program {file} of the server's machine computes its values from the exported checkpoint.");
        TaskInfo { name: self.name.clone(), about, kind: TaskKind::Command, items: 0, is_built_in: true }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_evaluator_is_a_name_and_a_program() {
        let evaluator: Evaluator = "my-test=/opt/a=b.sh".parse().unwrap();
        assert_eq!((evaluator.name.as_str(), evaluator.program), ("my-test", PathBuf::from("/opt/a=b.sh")));
        for bad in ["", "my-test", "my-test=", "My=/a", "=/a"] {
            assert!(bad.parse::<Evaluator>().is_err(), "{bad}");
        }
    }
}
