{{/* Image references. global.imageRegistry, where set, stands before every image: an air-gapped registry. */}}

{{/* Arguments: root, image (registry, repository, tag, digest). A digest wins over a tag. */}}
{{- define "plumbline.image" -}}
{{- $registry := default .image.registry .root.Values.global.imageRegistry -}}
{{- $name := .image.repository -}}
{{- if $registry -}}{{- $name = printf "%s/%s" (trimSuffix "/" $registry) $name -}}{{- end -}}
{{- if .image.digest -}}
{{- printf "%s@%s" $name .image.digest -}}
{{- else -}}
{{- printf "%s:%s" $name (required (printf "image %s needs a tag or a digest" .image.repository) .image.tag) -}}
{{- end -}}
{{- end -}}

{{/* Arguments: root, role (serving, features, pipelines, monitoring, controller, tracking). */}}
{{- define "plumbline.roleImage" -}}
{{- $images := .root.Values.images -}}
{{- $role := index $images.roles .role -}}
{{- $image := dict
  "registry" (default $images.registry $role.registry)
  "repository" $role.repository
  "tag" (coalesce $role.tag $images.tag .root.Chart.AppVersion)
  "digest" $role.digest -}}
{{- include "plumbline.image" (dict "root" .root "image" $image) -}}
{{- end -}}

{{- define "plumbline.pullSecrets" -}}
{{- with .Values.global.imagePullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end -}}
