<#
.SYNOPSIS
Denoises images on a denoised server; for Windows PowerShell 5.1 and later, nothing to install.
.DESCRIPTION
Each result comes beside its image: cell.ome.tif becomes cell_denoised.ome.tif.
.EXAMPLE
.\denoise.ps1 -Server http://HOST:PORT -Model nuclei@champion -Path D:\day1\*.tif
.EXAMPLE
$env:DENOISE_TOKEN = 'den_...'; .\denoise.ps1 -Server https://HOST -Method median -Path a.tif
#>
[CmdletBinding(DefaultParameterSetName = 'Model')]
param(
    [Parameter(Mandatory = $true)][string]$Server,
    [Parameter(Mandatory = $true, ParameterSetName = 'Model')][string]$Model,
    [Parameter(Mandatory = $true, ParameterSetName = 'Method')][string]$Method,
    [Parameter(Mandatory = $true)][string[]]$Path,
    [string]$Token = $env:DENOISE_TOKEN
)
Set-StrictMode -Version 2.0
$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue' # the bar of 5.1 makes transfers many times slower
[Net.ServicePointManager]::SecurityProtocol =
    [Net.ServicePointManager]::SecurityProtocol -bor [Net.SecurityProtocolType]::Tls12
$Server = $Server.TrimEnd('/')
$headers = @{}
if ($Token) { $headers['Authorization'] = "Bearer $Token" }

# Of a refusal, the reason is told.
function Invoke-Api([string]$Verb, [string]$Resource, [hashtable]$More) {
    try {
        Invoke-RestMethod -Method $Verb -Uri "$Server$Resource" -Headers $headers @More
    } catch {
        $reason = $_.Exception.Message
        if ($_.ErrorDetails -and $_.ErrorDetails.Message) {
            try { $reason = (ConvertFrom-Json $_.ErrorDetails.Message).detail } catch { }
        }
        throw $reason
    }
}

foreach ($file in Get-Item -Path $Path) {
    # 1. upload; the same bytes are stored once
    $name = [Uri]::EscapeDataString($file.Name)
    $image = Invoke-Api Post "/v1/images?name=$name" @{
        InFile = $file.FullName; ContentType = 'application/octet-stream'
    }
    # 2. a job
    $request = @{ kind = 'denoise'; image = $image.id }
    if ($Model) { $request.model = $Model } else { $request.method = $Method }
    $job = Invoke-Api Post '/v1/jobs' @{
        Body = (ConvertTo-Json $request -Compress); ContentType = 'application/json'
    }
    # 3. wait for it
    while ('queued', 'running' -contains $job.state) {
        Start-Sleep -Milliseconds 500
        $job = Invoke-Api Get "/v1/jobs/$($job.id)" @{}
    }
    if ($job.state -ne 'succeeded') {
        $why = if ($job.error) { $job.error.detail } else { $job.state }
        throw "$($file.Name): $why"
    }
    # 4. download: whole or not at all
    $ending = [regex]::Match($file.Name, '(?i)(\.ome)?\.[^.]+$').Value
    $stem = $file.Name.Substring(0, $file.Name.Length - $ending.Length)
    $result = Join-Path $file.DirectoryName ($stem + '_denoised' + $ending)
    Invoke-WebRequest -UseBasicParsing -Uri "$Server/v1/jobs/$($job.id)/result" `
        -Headers $headers -OutFile "$result.part"
    Move-Item -Force -LiteralPath "$result.part" -Destination $result
    $result
}
