# PowerShell completion of barge, in $PROFILE:  barge completions powershell | Out-String | Invoke-Expression

Register-ArgumentCompleter -Native -CommandName barge -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)

    # the words up to the cursor without their quotation; the last one is what is being typed
    $words = @()
    $end = 0
    foreach ($element in $commandAst.CommandElements) {
        $extent = $element.Extent
        if ($extent.StartOffset -ge $cursorPosition) { break }
        $end = $extent.EndOffset
        $text = $extent.Text
        if ($end -gt $cursorPosition) {
            $text = $text.Substring(0, $cursorPosition - $extent.StartOffset)
        } elseif ($element -is [System.Management.Automation.Language.StringConstantExpressionAst]) {
            $text = $element.Value
        }
        $words += $text
    }
    if ($end -lt $cursorPosition) { $words += '' }
    # before 7.3 empty words and quotation marks would not arrive as they are
    $typed = [System.Convert]::ToBase64String([System.Text.Encoding]::UTF8.GetBytes($words -join "`0"))
    # of each the word as it is written, how it is shown, and what it means
    & barge __complete powershell '--' $typed 2>$null | ForEach-Object {
        $word, $shown, $meaning = $_ -split "`t", 3
        [System.Management.Automation.CompletionResult]::new($word, $shown, 'ParameterValue', $meaning)
    }
}
