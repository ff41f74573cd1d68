//! The only place that reads files: configuration, secrets and certificates. Each has a maximum size.
//!
//! Files may change while the process runs. A file that has grown to a gigabyte is refused before it is read. A named
//! pipe is refused too, since reading it would wait for a writer.

use std::{
    fmt,
    fs::File,
    io::{self, ErrorKind, Read},
    os::unix::fs::FileTypeExt,
    path::Path,
};

use crate::model::Text;

/// The kind of a file, which determines its maximum size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A configuration. Its limit has room for thousands of rules.
    Config,
    /// An address, a password or a token.
    Secret,
    /// Certificates or a key. The limit is four times the size of a bundle of all public authorities.
    Pem,
    /// A file of the kernel's, such as one in `/proc`.
    System,
}

impl Kind {
    /// Maximum size in bytes.
    const fn limit(self) -> u64 {
        match self {
            Self::Config | Self::Pem => 1024 * 1024,
            Self::Secret | Self::System => 64 * 1024,
        }
    }
}

/// Why a file was not read.
#[derive(Debug)]
pub struct ReadError {
    path: Text,
    problem: Problem,
}

#[derive(Debug)]
enum Problem {
    System(io::Error),
    Pipe,
    /// Size in bytes, if it is known, and the kind whose limit it exceeds.
    TooLarge(Option<u64>, Kind),
    NotUtf8,
}

impl ReadError {
    /// Where a path is expected, users sometimes give the secret itself. So the path of a secret is shown only if it
    /// is absolute and has no `@`.
    fn new(path: &Path, kind: Kind, problem: Problem) -> Self {
        let is_shown = kind != Kind::Secret || (path.is_absolute() && !path.to_string_lossy().contains('@'));
        let shown =
            if is_shown { path.into() } else { Text::from("the file of this name, which is not shown") };
        Self { path: shown, problem }
    }

    /// Whether the file may become readable without any change to it: the system is out of file descriptors, or its
    /// disk or network fails.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        matches!(&self.problem, Problem::System(error) if !matches!(
            error.kind(),
            ErrorKind::NotFound | ErrorKind::PermissionDenied | ErrorKind::IsADirectory | ErrorKind::NotADirectory
        ))
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = &self.path;
        match &self.problem {
            Problem::System(error) => write!(f, "cannot read {path}: {error}"),
            Problem::Pipe => write!(f, "cannot read {path}: it is a pipe, not a file"),
            Problem::TooLarge(Some(size), kind) => {
                write!(f, "cannot read {path}: it has {size} bytes, more than the {} allowed", kind.limit())
            }
            Problem::TooLarge(None, kind) => {
                write!(f, "cannot read {path}: it has more than the {} bytes allowed", kind.limit())
            }
            Problem::NotUtf8 => write!(f, "cannot read {path}: it is not UTF-8"),
        }
    }
}

impl std::error::Error for ReadError {}

/// Reads a file.
///
/// # Errors
/// The system's error, or the file is a pipe or too large for its kind.
pub(crate) fn read(path: &Path, kind: Kind) -> Result<Vec<u8>, ReadError> {
    read_bounded(path, kind).map_err(|problem| ReadError::new(path, kind, problem))
}

/// Reads a text file.
///
/// # Errors
/// Those of [`read`], or the file is not UTF-8.
pub(crate) fn read_text(path: &Path, kind: Kind) -> Result<String, ReadError> {
    let bytes = read(path, kind)?;
    String::from_utf8(bytes).map_err(|_utf8_error| ReadError::new(path, kind, Problem::NotUtf8))
}

/// The machine's name; in Kubernetes the Pod's.
pub(crate) fn host_name() -> Text {
    let name = read(Path::new("/proc/sys/kernel/hostname"), Kind::System).unwrap_or_default();
    Text::from(name.trim_ascii())
}

#[expect(clippy::disallowed_methods, reason = "this is the one place that may")]
fn read_bounded(path: &Path, kind: Kind) -> Result<Vec<u8>, Problem> {
    let limit = kind.limit();
    // Checked before opening: opening a pipe blocks already.
    let metadata = std::fs::metadata(path).map_err(Problem::System)?;
    if metadata.file_type().is_fifo() {
        return Err(Problem::Pipe);
    }
    if metadata.len() > limit {
        return Err(Problem::TooLarge(Some(metadata.len()), kind));
    }
    let file = File::open(path).map_err(Problem::System)?;
    let mut bytes = Vec::new();
    let size = file.take(limit + 1).read_to_end(&mut bytes).map_err(Problem::System)?;
    if u64::try_from(size).is_ok_and(|size| size > limit) {
        // The file has grown since, or does not report its size.
        return Err(Problem::TooLarge(None, kind));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn file(of: &str, size: u64) -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(of);
        File::create(&path).unwrap().set_len(size).unwrap();
        (directory, path)
    }

    #[test]
    fn a_file_is_read_up_to_the_limit_of_its_kind() {
        for kind in [Kind::Config, Kind::Secret, Kind::Pem, Kind::System] {
            let (_directory, path) = file("fits", kind.limit());
            assert_eq!(u64::try_from(read(&path, kind).unwrap().len()).unwrap(), kind.limit());
            let (_directory, path) = file("does-not", kind.limit() + 1);
            let error = read(&path, kind).unwrap_err().to_string();
            let (size, limit) = (kind.limit() + 1, kind.limit());
            let words = format!("does-not: it has {size} bytes, more than the {limit} allowed");
            assert!(error.ends_with(&words), "{error}");
        }
    }

    #[test]
    fn files_without_a_size_are_bounded_and_pipes_are_refused_at_once() {
        let (directory, _) = file("some", 1);
        let pipe = directory.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        for (path, words) in [
            (Path::new("/dev/zero"), "it has more than the 65536 bytes allowed"),
            (&pipe, "it is a pipe"),
            (directory.path(), "Is a directory"),
            (Path::new("/no/such\u{1b}[31m/file"), "/no/such\\u{1B}[31m/file: No such file"),
        ] {
            let error = read(path, Kind::Secret).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
        assert_eq!(read(Path::new("/dev/null"), Kind::Config).unwrap(), b"");
    }
}
