# elvish completion of barge, in rc.elv:  eval (barge completions elvish | slurp)

set edit:completion:arg-completer[barge] = {|@words|
    # two fields for each: + or - for whether a space follows, and the word; then what is shown
    var fields = [(try {
        e:barge __complete elvish -- $@words 2>/dev/null </dev/null | from-terminated "\x00"
    } catch e { })]
    range 0 (- (count $fields) 1) &step=2 | each {|at|
        var end = ''
        if (==s $fields[$at][..1] +) { set end = ' ' }
        edit:complex-candidate $fields[$at][1..] &code-suffix=$end &display=$fields[(+ $at 1)]
    }
}
