//! The live view: draws the document in place, on the alternate screen of the terminal.

use std::{
    io::{self, Write},
    time::Duration,
};

use crossterm::{
    cursor::{Hide, MoveTo, Show},
    event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers, poll, read},
    execute, queue,
    terminal::{
        BeginSynchronizedUpdate, Clear, ClearType, EndSynchronizedUpdate, EnterAlternateScreen,
        LeaveAlternateScreen, disable_raw_mode, enable_raw_mode, size,
    },
};

use tokio::sync::mpsc::{Receiver, channel};

use super::{super::details::counted, feed::Feed, view::View};
use crate::{
    cli::command::{Error, Exit},
    clock::{self, Instant},
    config::wants_no_colour,
    evaluate::{Health, short},
    views::terminal::{Colour, Line, Style},
    worker::Worker,
};

/// How soon a key is noticed, and a new document is drawn.
const TICK: Duration = Duration::from_millis(100);

/// The columns of the terminal, if it knows them: some without a window report 0.
pub(crate) fn columns() -> Option<usize> {
    size().ok().map(|(columns, _)| usize::from(columns)).filter(|columns| *columns > 0)
}

/// Shows the feed until q is pressed. Returns the health of the last document.
pub(super) fn watch(feed: Feed, view: View, every: Duration) -> Result<Exit, Error> {
    // A reading in progress may take until its timeouts. Quitting does not wait for its thread.
    let worker = Worker::start("feed").map_err(Error::Start)?;
    // Holds one document: a slow terminal gets the next one, not all that it missed.
    let (documents_in, mut documents) = channel(1);
    worker.handle().spawn(async move {
        let mut feed = feed;
        while documents_in.send(feed.fetch().await).await.is_ok() {
            tokio::time::sleep(every).await;
        }
    });
    let cannot =
        |error: io::Error| Error::Other(format!("cannot show it live: {error}; it needs a terminal"));
    let screen = Screen::open().map_err(cannot)?;
    let mut live = Live { view, last: None, failure: None, offset: 0 };
    let ended = live.run(&mut documents);
    drop(screen);
    ended.map_err(cannot)?;
    let last = live.last.filter(|_| live.failure.is_none());
    Ok(Exit::Health(last.map_or(Ok(Health::Unknown), |(document, _)| view.health(&document))?))
}

struct Live {
    view: View,
    /// The last document, and when it arrived.
    last: Option<(Vec<u8>, Instant)>,
    /// Why there is no newer one.
    failure: Option<String>,
    /// Lines scrolled away.
    offset: usize,
}

impl Live {
    fn run(&mut self, documents: &mut Receiver<Result<Vec<u8>, String>>) -> io::Result<()> {
        loop {
            while let Ok(document) = documents.try_recv() {
                match document {
                    Ok(document) => (self.last, self.failure) = (Some((document, clock::now())), None),
                    Err(failure) => self.failure = Some(failure),
                }
            }
            self.draw()?;
            // A resize ends the wait, and the next drawing has the new size.
            if poll(TICK)?
                && let Event::Key(key) = read()?
                && key.kind == KeyEventKind::Press
                && !self.press(key)
            {
                return Ok(());
            }
        }
    }

    /// Whether to continue.
    fn press(&mut self, key: KeyEvent) -> bool {
        match (key.code, key.modifiers) {
            (KeyCode::Char('q') | KeyCode::Esc, _) | (KeyCode::Char('c'), KeyModifiers::CONTROL) => {
                return false;
            }
            (KeyCode::Down | KeyCode::Char('j'), _) => self.offset += 1,
            (KeyCode::Up | KeyCode::Char('k'), _) => self.offset = self.offset.saturating_sub(1),
            (KeyCode::PageDown, _) => self.offset += 10,
            (KeyCode::PageUp, _) => self.offset = self.offset.saturating_sub(10),
            (KeyCode::Home, _) => self.offset = 0,
            _ => {}
        }
        true
    }

    fn draw(&mut self) -> io::Result<()> {
        let (_, rows) = size()?;
        let width = columns();
        let has_history = width.is_some_and(|columns| columns >= 120);
        let style = Style { has_colours: !wants_no_colour(), has_history, width };
        let lines = self.lines(style);
        let height = usize::from(rows).saturating_sub(1);
        self.offset = self.offset.min(lines.len().saturating_sub(height));
        let mut out = io::stdout().lock();
        queue!(out, BeginSynchronizedUpdate)?;
        for (row, line) in (0..rows.saturating_sub(1))
            .zip(lines.iter().skip(self.offset).chain(std::iter::repeat(&Line::default())))
        {
            queue!(out, MoveTo(0, row))?;
            write!(out, "{}", line.render(style))?;
            queue!(out, Clear(ClearType::UntilNewLine))?;
        }
        let footer = self.footer(lines.len(), height);
        queue!(out, MoveTo(0, rows.saturating_sub(1)))?;
        write!(out, "{}", footer.render(style))?;
        queue!(out, Clear(ClearType::UntilNewLine), EndSynchronizedUpdate)?;
        out.flush()
    }

    fn lines(&self, style: Style) -> Vec<Line> {
        match self.last.as_ref().map(|(document, at)| self.view.lines(document, clock::now() - *at, style)) {
            Some(Ok(lines)) => lines,
            Some(Err(error)) => vec![Line::plain(&error.to_string())],
            None => vec![Line::plain("nothing has been read yet")],
        }
    }

    /// Why the document is old, or the keys to press.
    fn footer(&self, lines: usize, height: usize) -> Line {
        let mut footer = Line::default();
        if let Some(failure) = &self.failure {
            let age = self.last.as_ref().map(|(_, at)| format!("{} old: ", short(clock::now() - *at)));
            footer.push(&format!("{}{failure}", age.unwrap_or_default()), Some(Colour::Red));
            return footer;
        }
        let below = lines.saturating_sub(self.offset + height);
        let more = if below > 0 { format!(", {} below", counted(below, "more line")) } else { String::new() };
        footer.push(&format!("q quits, arrows scroll{more}"), Some(Colour::Dim));
        footer
    }
}

/// The alternate screen of the terminal. It is left on drop.
struct Screen;

impl Screen {
    fn open() -> io::Result<Self> {
        enable_raw_mode()?;
        let screen = Self;
        execute!(io::stdout(), EnterAlternateScreen, Hide, Clear(ClearType::All))?;
        Ok(screen)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // If the terminal is gone, there is nobody to report to.
        drop(execute!(io::stdout(), Show, LeaveAlternateScreen));
        drop(disable_raw_mode());
    }
}
