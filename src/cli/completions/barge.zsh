#compdef barge
# zsh completion of barge: barge completions zsh >DIR/_barge, where DIR is in $fpath,
# or, after compinit:      source <(barge completions zsh)

_barge() {
    local typed="${(Q)PREFIX}" field text
    local -a fields whole whole_text open open_text
    local -i cut=0 i
    fields=("${(@0)"$(command barge __complete zsh -- "${(@Q)words[1,CURRENT-1]}" "$typed" 2>/dev/null </dev/null)"}")
    # zsh would quote the tilde of a candidate: what stands before the last slash is left alone
    if [[ $PREFIX == '~'*/* && $PREFIX == $typed ]]; then
        compset -P '*/'
        cut=$(( ${#typed} - ${#PREFIX} ))
    fi
    # two fields for each: + or - for whether a space follows, and the word; then what is shown
    for ((i = 1; i < ${#fields}; i += 2)); do
        field="${fields[i]}" text="${fields[i + 1]}"
        if [[ $field == +* ]]; then
            whole+=("${field[2 + cut,-1]}") whole_text+=("$text")
        else
            open+=("${field[2 + cut,-1]}") open_text+=("$text")
        fi
    done
    (( ${#whole} )) && compadd -d whole_text -a whole
    (( ${#open} )) && compadd -S '' -d open_text -a open
}

if [[ $funcstack[1] == _barge ]]; then
    _barge "$@"
else
    compdef _barge barge
fi
