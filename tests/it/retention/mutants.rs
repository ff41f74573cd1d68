//! Every fault that a rule can make in the script of a step, one at a time: one of the cases shows it, or it is no fault,
//! and stands in a table with the reason.

use redis::cmd;

use super::cases::{SCRIPT, play, server, step_cases, watched};

/// What is replaced wherever it stands.
const SWAPS: [(&str, &str); 15] = [
    (" == ", " ~= "),
    (" ~= ", " == "),
    (" < ", " <= "),
    (" <= ", " < "),
    (" > ", " >= "),
    (" >= ", " > "),
    (" and ", " or "),
    (" or ", " and "),
    ("not ", ""),
    (" + ", " - "),
    (" - ", " + "),
    ("true", "false"),
    ("false", "true"),
    ("math.min", "math.max"),
    ("'MINID'", "'MAXLEN'"),
];

/// What changes nothing, and why.
const NO_FAULTS: [(&str, &str, &str); 7] = [
    ("if redis.replicate_commands then", "if true then", "it is for servers before 7.0"),
    ("if redis.replicate_commands then", "if false then", "it is for servers before 7.0"),
    ("'^@user_script: ?%d+: %-?'", "''", "it is for servers before 7.0"),
    ("#ids(row[1], row[1], 1)", "#ids(row[1], row[1], 2)", "from an ID to itself there is one entry at most"),
    ("if count > 1 then", "if count > 2 then", "the count is 1 or 100"),
    (
        "else missing[ARGV[index]] = true end",
        "else missing[ARGV[index]] = false end",
        "only its keys are looked at",
    ),
    ("if text:find(\"can't run this command\") then", "if false then", NAMES_THE_COMMAND),
];
const NAMES_THE_COMMAND: &str = "it is for Redis 7.0, which does not say what is refused";

/// The line with each text in single quotes emptied, with each number one greater, with each word swapped, each condition
/// always and never met, and without the line, one at a time.
fn faults(line: &str) -> Vec<String> {
    let code = line.split("--").next().unwrap_or_default().trim_end();
    let with = |at: usize, length: usize, new: &str| [&code[..at], new, &code[at + length..]].concat();
    let mut faults = Vec::new();
    for (from, to) in SWAPS {
        faults.extend(code.match_indices(from).map(|(at, _)| with(at, from.len(), to)));
    }
    let quotes: Vec<usize> = code.match_indices('\'').map(|(at, _)| at).collect();
    for quoted in quotes.chunks_exact(2).filter(|_| !code.contains('"')) {
        faults.push(with(quoted[0] + 1, quoted[1] - quoted[0] - 1, ""));
    }
    let is_of_word =
        |at: usize| code[at..].starts_with(|it: char| it.is_alphanumeric() || "_'%.".contains(it));
    for at in (0..code.len()).filter(|at| code[*at..].starts_with(|it: char| it.is_ascii_digit())) {
        let number: String = code[at..].chars().take_while(char::is_ascii_digit).collect();
        if at > 0 && !is_of_word(at - 1) && !is_of_word(at + number.len()) {
            faults.push(with(at, number.len(), &(number.parse::<u64>().unwrap() + 1).to_string()));
        }
    }
    if let Some((condition, then)) =
        code.trim_start().strip_prefix("if ").and_then(|it| it.split_once(" then"))
    {
        let at = code.len() - then.len() - " then".len() - condition.len();
        faults.extend(["true", "false"].map(|value| with(at, condition.len(), value)));
    } else {
        faults.push(String::new());
    }
    faults.retain(|fault| fault != code);
    faults
}

/// Each fault, and the script with it.
pub(crate) fn faulty(script: &str) -> impl Iterator<Item = (String, String)> {
    let lines: Vec<&str> = script.lines().collect();
    let all = lines.clone().into_iter().enumerate();
    let all = all.flat_map(|(index, line)| faults(line).into_iter().map(move |fault| (index, line, fault)));
    all.map(move |(index, line, fault)| {
        let mut script = lines.clone();
        script[index] = &fault;
        (format!("{}  =>  {}", line.trim(), fault.trim()), script.join("\n"))
    })
}

#[test]
fn each_fault_in_the_script_is_shown_by_a_case() {
    let Some(redis) = server() else { return };
    let (cases, mut connection, mut shown, mut survivors) = (step_cases(), redis.connect(), 0, Vec::new());
    let is_7_0 = redis.run::<String>("INFO server").contains("redis_version:7.0.");
    let no_faults = NO_FAULTS.into_iter().filter(|(_, _, reason)| !is_7_0 || *reason != NAMES_THE_COMMAND);
    let no_faults = no_faults.map(|(from, to, _)| SCRIPT.replace(from, to).trim_end().to_owned());
    let mut no_faults: Vec<String> = no_faults.collect();
    for (name, script) in faulty(SCRIPT) {
        let watched = watched(&script);
        if cmd("SCRIPT").arg("LOAD").arg(&watched).query::<String>(&mut connection).is_err() {
            continue;
        }
        let is_shown = cases.iter().any(|case| play(case, &watched, &redis, &mut connection) != case.outcome);
        if is_shown {
            shown += 1;
        } else if let Some(index) = no_faults.iter().position(|no_fault| *no_fault == script) {
            no_faults.remove(index);
        } else {
            survivors.push(name);
        }
        cmd("SCRIPT").arg("FLUSH").query::<()>(&mut connection).unwrap();
    }
    eprintln!("{shown} faults are shown");
    assert!(shown > 300, "next to nothing is tried: {shown}");
    assert!(survivors.is_empty(), "no case shows:\n{}", survivors.join("\n"));
    assert_eq!(no_faults.len(), 0, "a case shows what is said to be no fault");
}
