//! A server that answers some commands with what a test wants, and passes all others on to a real one.

use std::{
    io::{self, BufRead, BufReader, Error, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    thread,
};

/// Lets the n-th command, with its first words, be answered with these bytes; `None` for the real answer.
type Rule = Box<dyn FnMut(u64, &[String]) -> Option<Vec<u8>> + Send>;

pub(super) struct Impostor {
    port: u16,
    rule: Arc<Mutex<Rule>>,
}

impl Impostor {
    pub(super) fn before(
        real: u16,
        rule: impl FnMut(u64, &[String]) -> Option<Vec<u8>> + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let rule: Arc<Mutex<Rule>> = Arc::new(Mutex::new(Box::new(rule)));
        let (serving, commands) = (Arc::clone(&rule), Arc::new(AtomicU64::new(0)));
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let (rule, commands) = (Arc::clone(&serving), Arc::clone(&commands));
                // A client that disconnects in the middle ends it.
                thread::spawn(move || drop(serve(&client, real, &rule, &commands)));
            }
        });
        Self { port, rule }
    }

    pub(super) fn uri(&self) -> String {
        format!("redis://user-name:s3cret-word@127.0.0.1:{}", self.port)
    }

    pub(super) fn rule(&self, rule: impl FnMut(u64, &[String]) -> Option<Vec<u8>> + Send + 'static) {
        *self.rule.lock().unwrap() = Box::new(rule);
    }
}

fn serve(client: &TcpStream, real: u16, rule: &Mutex<Rule>, commands: &AtomicU64) -> io::Result<()> {
    let server = TcpStream::connect(("127.0.0.1", real))?;
    let (mut asked, mut answered) = (BufReader::new(client), BufReader::new(&server));
    loop {
        let mut command = Vec::new();
        value(&mut asked, &mut command)?;
        let words = words(&command);
        let number = commands.fetch_add(1, SeqCst);
        let wanted = (rule.lock().unwrap())(number, &words);
        let answer = match wanted {
            Some(answer) => answer,
            // The real server knows no such user.
            None if words.iter().any(|word| word == "AUTH") => {
                exchange(&server, &mut answered, b"*2\r\n$5\r\nHELLO\r\n$1\r\n3\r\n")?
            }
            None => exchange(&server, &mut answered, &command)?,
        };
        let mut client = client;
        client.write_all(&answer)?;
    }
}

fn exchange(mut server: &TcpStream, answered: &mut impl BufRead, command: &[u8]) -> io::Result<Vec<u8>> {
    server.write_all(command)?;
    let mut answer = Vec::new();
    value(answered, &mut answer)?;
    Ok(answer)
}

/// Reads one value of the protocol, as it is.
fn value(from: &mut impl BufRead, into: &mut Vec<u8>) -> io::Result<()> {
    let start = into.len();
    if from.read_until(b'\n', into)? == 0 {
        return Err(Error::other("closed"));
    }
    let line = String::from_utf8_lossy(&into[start..]).into_owned();
    let count = line[1..].trim().parse::<usize>().unwrap_or(0);
    match line.as_bytes()[0] {
        b'$' | b'=' | b'!' if !line.starts_with("$-1") => {
            let wanted = u64::try_from(count + 2).unwrap();
            from.take(wanted).read_to_end(into).map(drop)
        }
        b'*' | b'~' | b'>' => (0..count).try_for_each(|_| value(from, into)),
        b'%' => (0..count * 2).try_for_each(|_| value(from, into)),
        _ => Ok(()),
    }
}

/// A command's words: every second line, behind the first.
fn words(command: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(command);
    text.split("\r\n").skip(2).step_by(2).map(str::to_owned).collect()
}
