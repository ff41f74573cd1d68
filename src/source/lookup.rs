//! What a first reading left open, asked group by group in batches.

use super::{Command, link::Session, reply, resp::Reply};
use crate::model::{Answers, Counted, Failure, GroupAnswers, Lookup, Question, StreamId};

/// Questions a pipeline.
pub(super) const BATCH: usize = 100;

/// Asks some questions.
pub(super) async fn ask(session: &mut Session, questions: &[Question]) -> Result<Vec<Answered>, Failure> {
    let commands: Vec<Command<'_>> = questions.iter().map(command).collect();
    session.send(&commands).await
}

/// What a question is answered.
type Answered = Result<Reply, Failure>;

/// Takes the answers; what a single command's failure leaves unanswered is missing.
pub(super) fn take(
    questions: &[Question],
    replies: Vec<Answered>,
    answers: &mut Answers,
) -> Result<(), Failure> {
    for (question, reply) in questions.iter().zip(replies) {
        let group = answers.group_mut(&question.stream, &question.group);
        // A group that went away in between is not there at the next poll either.
        if let Ok(reply) = reply {
            take_one(group, question.lookup, &reply)?;
        }
    }
    Ok(())
}

fn command(question: &Question) -> Command<'_> {
    let (stream, group) = (&question.stream, &question.group);
    match question.lookup {
        Lookup::Count { after, up_to, limit } => Command::Newest(stream, up_to, from(after), limit),
        Lookup::FirstAfter(after) => Command::First(stream, from(after)),
        Lookup::PendingFrom(first) => Command::Pending(stream, group, first, 1),
        Lookup::PendingSample(count) => Command::Pending(stream, group, StreamId::ZERO, count),
    }
}

/// The first ID behind this one. Behind the last of all there is nothing to ask for, and nobody asks.
fn from(after: StreamId) -> StreamId {
    after.next().unwrap_or(after)
}

fn take_one(group: &mut GroupAnswers, lookup: Lookup, reply: &Reply) -> Result<(), Failure> {
    match lookup {
        Lookup::Count { up_to, limit, .. } => {
            let ids = reply::range_ids(reply)?;
            let entries = u64::try_from(ids.len()).unwrap_or(u64::MAX);
            let (lowest, is_complete) = (ids.last().copied(), entries < limit);
            group.counted = Some(Counted { up_to, entries, lowest, is_complete });
        }
        Lookup::FirstAfter(_) => group.first_after = Some(reply::range_ids(reply)?.first().copied()),
        Lookup::PendingFrom(_) => group.pending_from = Some(reply::pending_entries(reply)?.first().copied()),
        Lookup::PendingSample(_) => group.pending_sample = Some(reply::pending_entries(reply)?),
    }
    Ok(())
}
