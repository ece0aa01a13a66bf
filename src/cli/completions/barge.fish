# fish completion of barge:  barge completions fish | source

function __barge_complete
    set -l words (commandline -opc)
    set -l typed (commandline -ct | string collect)
    set -l plain (string unescape -- "$typed" | string collect)
    # a quotation mark that is still open
    set -q plain[1]; or set plain (string replace -r '^["\']' '' -- "$typed" | string collect)
    set -q plain[1]; or set plain ''
    command barge __complete fish -- $words "$plain" 2>/dev/null </dev/null | string split0
end

complete -c barge -f -a '(__barge_complete)'
