-- SPDX-License-Identifier: BSD-2-Clause
-- Neovim as a client of the language server: opens CLIENT_FILE, asks what CLIENT_SCRIPT says, and prints what it was told as JSON. The script is a list of
-- {"ask": METHOD, "line": N, "column": N}, {"insert": TEXT, "line": N, "column": N} and {"wait": true}: for findings.
local file, server = vim.env.CLIENT_FILE, vim.fn.json_decode(vim.env.CLIENT_SERVER)
local told, new = {}, false
vim.cmd("edit " .. vim.fn.fnameescape(file))
local buffer = vim.api.nvim_get_current_buf()
local client = vim.lsp.start_client({
    name = "caprock", cmd = server, root_dir = vim.fn.fnamemodify(file, ":h"),
    handlers = { ["textDocument/publishDiagnostics"] = function(_, result)
        if result.uri == vim.uri_from_bufnr(buffer) then
            told[#told + 1] = { findings = result.diagnostics }
            new = true
        end
    end },
})
vim.lsp.buf_attach_client(buffer, client)
for _, step in ipairs(vim.fn.json_decode(vim.env.CLIENT_SCRIPT)) do
    if step.wait then
        if not vim.wait(60000, function() return new end, 10) then told[#told + 1] = { missing = "findings" } end
        new = false
    elseif step.insert then
        vim.api.nvim_buf_set_text(buffer, step.line, step.column, step.line, step.column, vim.split(step.insert, "\n"))
    else
        local params = { textDocument = vim.lsp.util.make_text_document_params(buffer), position = { line = step.line, character = step.column },
                         options = { tabSize = 2, insertSpaces = true } }
        local answers = vim.lsp.buf_request_sync(buffer, step.ask, params, 60000) or {}
        told[#told + 1] = answers[client] or { missing = step.ask }
    end
end
vim.lsp.stop_client(client)
vim.wait(60000, function() return vim.lsp.client_is_stopped(client) end, 10)
io.stdout:write(vim.fn.json_encode(told))
vim.cmd("qall!")
