//! Evaluators: programs of this machine that score exported checkpoints. Only whoever starts the server names them, so no token reaches a
//! program that was not meant for it.

use std::path::PathBuf;
use std::str::FromStr;

use engine::task::built_in::built_in;
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

/// Why evaluators cannot be used together.
#[derive(Debug, thiserror::Error)]
pub enum EvaluatorNameError {
    #[error("--evaluator {name} was given twice, for {} and {}; give each program a name of its own", first.display(), second.display())]
    Repeated { name: TaskName, first: PathBuf, second: PathBuf },
    #[error("--evaluator {name} has the name of a built-in task; choose another name")]
    BuiltIn { name: TaskName },
}

/// Checks that each name stands for one task.
///
/// # Errors
/// A name that was given twice, or is that of a built-in task.
pub fn check_names(evaluators: &[Evaluator]) -> Result<(), EvaluatorNameError> {
    for (at, Evaluator { name, program }) in evaluators.iter().enumerate() {
        if let Some(other) = evaluators[..at].iter().find(|other| other.name == *name) {
            let (first, second) = (other.program.clone(), program.clone());
            return Err(EvaluatorNameError::Repeated { name: name.clone(), first, second });
        }
        if built_in(name.as_str()).is_some() {
            return Err(EvaluatorNameError::BuiltIn { name: name.clone() });
        }
    }
    Ok(())
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

    #[test]
    fn each_name_stands_for_one_task() {
        let check = |texts: &[&str]| {
            let evaluators: Vec<Evaluator> = texts.iter().map(|text| text.parse().unwrap()).collect();
            check_names(&evaluators).map_err(|error| error.to_string())
        };
        assert_eq!(check(&["a=/opt/a.sh", "b=/opt/a.sh"]), Ok(()), "one program may compute two tasks");
        let repeated =
            "--evaluator a was given twice, for /opt/a.sh and /opt/b.sh; give each program a name of its own";
        assert_eq!(check(&["a=/opt/a.sh", "c=/opt/c.sh", "a=/opt/b.sh"]), Err(repeated.to_owned()));
        assert!(check(&["tales-holder=/opt/a.sh"]).unwrap_err().contains("of a built-in task"));
    }
}
