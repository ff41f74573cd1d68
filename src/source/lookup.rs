//! Asks what the reading of the streams left open, group by group, in batches.

use super::{Command, reply, resp::Reply, session::Session};
use crate::model::{Counted, Failure, Finding, Lookup, Name, Pending, PendingSample, Question, StreamId};

/// Questions in a pipeline.
pub(super) const BATCH: usize = 100;

/// Asks some questions.
pub(super) async fn ask(session: &mut Session, questions: &[Question]) -> Result<Vec<Answered>, Failure> {
    let commands: Vec<Command<'_>> = questions.iter().map(command).collect();
    session.send(&commands).await
}

/// The reply to a question.
type Answered = Result<Reply, Failure>;

/// Turns the replies into findings. A question whose command failed has none.
pub(super) fn take(
    questions: &[Question],
    replies: Vec<Answered>,
    answers: &mut Vec<(Name, Name, Finding)>,
) -> Result<(), Failure> {
    for (question, reply) in questions.iter().zip(replies) {
        // A group that was deleted in between is gone at the next poll too.
        let answer = reply.map_or(Ok(Finding::Nothing), |reply| answer(question.lookup, &reply))?;
        answers.push((question.stream.clone(), question.group.clone(), answer));
    }
    Ok(())
}

fn command(question: &Question) -> Command<'_> {
    let (stream, group) = (&question.stream, &question.group);
    match question.lookup {
        Lookup::Count { after, up_to, limit } => Command::Newest(stream, up_to, from(after), limit),
        Lookup::FirstAfter(after) => Command::First(stream, from(after)),
        Lookup::PendingFrom(first) => Command::Pending(stream, group, first, 1),
        Lookup::PendingSample { limit, .. } => Command::Pending(stream, group, StreamId::ZERO, limit),
    }
}

/// The next ID. There is nothing after the greatest one, so nobody asks for that.
fn from(after: StreamId) -> StreamId {
    after.next().unwrap_or(after)
}

fn answer(lookup: Lookup, reply: &Reply) -> Result<Finding, Failure> {
    Ok(match lookup {
        Lookup::Count { up_to, limit, .. } => {
            let ids = reply::range_ids(reply)?;
            let entries = u64::try_from(ids.len()).unwrap_or(u64::MAX);
            let (lowest, is_complete) = (ids.last().copied(), entries < limit);
            Finding::Counted(Counted { up_to, entries, lowest, is_complete })
        }
        Lookup::FirstAfter(_) => Finding::FirstAfter(reply::range_ids(reply)?.first().copied()),
        Lookup::PendingFrom(_) => Finding::PendingFrom(reply::pending_entries(reply)?.first().copied()),
        Lookup::PendingSample { limit, gone_before, poison_from } => {
            let entries = reply::pending_entries(reply)?;
            let head = entries.first().map_or(Pending::None, |head| Pending::Oldest(*head));
            let is_whole = u64::try_from(entries.len()).is_ok_and(|entries| entries < limit);
            let sample = |gone| PendingSample::of(&entries, is_whole, gone, poison_from);
            Finding::PendingSample(head, gone_before.map(sample))
        }
    })
}
