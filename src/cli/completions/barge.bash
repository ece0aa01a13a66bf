# bash completion of barge:  source <(barge completions bash)

_barge() {
    local candidate
    COMPREPLY=()
    while IFS= read -r candidate; do
        COMPREPLY+=("$candidate")
    done < <(command barge __complete bash -- "${COMP_LINE:0:COMP_POINT}" "$COMP_WORDBREAKS" 2>/dev/null </dev/null)
}

# each candidate brings the space behind it along, where one belongs
complete -o bashdefault -o default -o nospace -F _barge barge
